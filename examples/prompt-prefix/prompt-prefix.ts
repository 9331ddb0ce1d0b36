// leastwise serve -c leastwise.config.json
//
// For servers of language models, which keep what they computed for the beginning of a prompt: requests
// go to where the longest beginning of theirs is warm, as long as nobody gets too much to do.
// Shows several files, memory with a limit, and what is handed on when the file is loaded again.
import { type Backend, type Candidates, defineStrategy, type RequestInfo } from "leastwise";
import { parseOptions } from "./options.ts";
import { distance } from "./rendezvous.ts";
import { WarmPrefixes } from "./warm-prefixes.ts";

/** Clients decide what is in the header, so there is a limit to what is read and kept of it. */
const MOST_PREFIXES = 32;
const LONGEST_PREFIX = 128;

export default defineStrategy({
  name: "prompt-prefix",
  apiVersion: 1,
  description:
    "where the longest prefix of the prompt is warm, within a bound on requests in flight",
  parseOptions,
  create({ options, previous, random, span, counter }) {
    const warm = new WarmPrefixes(options.remember, previous);
    const hits = counter("prompt_prefix.hits");
    const misses = counter("prompt_prefix.misses");

    /** The shortest first. */
    function prefixesOf({ headers }: RequestInfo): string[] {
      const text = headers.get(options.header) ?? "";
      const names = text.split(",", MOST_PREFIXES).map((name) => name.trim());
      return names.filter((name) => name !== "" && name.length <= LONGEST_PREFIX);
    }

    function isWarm(prefixes: readonly string[], { id }: Backend): boolean {
      return prefixes.some((prefix) => warm.get(prefix).includes(id));
    }

    /** Those that may have another request; never none. */
    function withinBound(candidates: Candidates): readonly Backend[] {
      let inFlight = 1;
      let weight = 0;
      for (const backend of candidates) {
        inFlight += backend.inFlight;
        weight += backend.weight;
      }
      const share = inFlight / weight;
      const open = candidates.filter(
        (one) => one.inFlight < options.bound * share * one.weight + options.slack,
      );
      return open.length > 0 ? open : candidates;
    }

    /** By lot among equals, or everybody's first request goes to the same backend. */
    function lowest(
      list: readonly Backend[],
      costOf: (backend: Backend) => number,
    ): Backend | null {
      let best: Backend | null = null;
      let bestCost = Infinity;
      let ties = 0;
      for (const backend of list) {
        const cost = costOf(backend);
        if (cost > bestCost) continue;
        ties = cost === bestCost ? ties + 1 : 1;
        if (random() * ties < 1) best = backend;
        bestCost = cost;
      }
      return best;
    }

    return {
      pick(candidates, { request }) {
        const open = withinBound(candidates);
        const prefixes = prefixesOf(request);
        for (const prefix of prefixes.toReversed()) {
          const ids = warm.get(prefix);
          const places = open.filter(({ id }) => ids.includes(id));
          if (places.length > 0) return lowest(places, loadOf);
        }
        const [shortest] = prefixes;
        if (shortest === undefined) return lowest(open, loadOf);
        return lowest(open, (backend) => distance(shortest, backend));
      },
      onStart({ backend, request }) {
        const prefixes = prefixesOf(request);
        if (prefixes.length === 0) return;
        const hit = isWarm(prefixes, backend);
        span.setAttribute("warm", hit);
        (hit ? hits : misses).add();
        for (const prefix of prefixes) warm.add(prefix, backend.id);
      },
      onHealthChange({ id }, _from, to) {
        if (to === "unhealthy") warm.forget(id);
      },
      snapshot: () => warm.entries(),
    };
  },
});

function loadOf(backend: Backend): number {
  return backend.inFlight / backend.weight;
}
