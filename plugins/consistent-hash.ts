import type { Backend, StrategyDefinition } from "../src/plugin.ts";
import { lowest } from "./lowest.ts";
import { OptionReader } from "./option-reader.ts";
import { Rendezvous } from "./rendezvous.ts";
import { readRequestKey, type RequestKey } from "./request-key.ts";

export interface ConsistentHashOptions {
  readonly keyOf: RequestKey;
  /** The most requests in flight that a backend may have, in fair shares; Infinity: no limit. */
  readonly bound: number;
}

/** A hot key keeps its backend at most a quarter above the others; less would move keys for nothing. */
const DEFAULT_BOUND = 1.25;

/**
 * The same key goes to the same backend, in every worker and after every restart, as long as the backend
 * is there and not overloaded. See `rendezvous.ts` for the sources. Two workers that pick at the same
 * moment do not see each other's request, so the bound may be passed by as many.
 *
 * A request without the key belongs nowhere: least connections.
 */
export default {
  name: "consistent-hash",
  apiVersion: 1,
  description: "the same backend for the same key, unless it has too many requests in flight",
  parseOptions(raw: unknown): ConsistentHashOptions {
    const reader = new OptionReader(raw, ["key", "bound"]);
    return reader.finish({ keyOf: readRequestKey(reader, "key"), bound: readBound(reader) });
  },
  create({ options, random }) {
    const rendezvous = new Rendezvous<Backend>(options.bound);
    return {
      pick(candidates, { request }) {
        const key = options.keyOf(request);
        const backend = key === null ? null : rendezvous.pick(candidates, key);
        return backend ?? lowest(candidates, loadOf, random);
      },
    };
  },
} satisfies StrategyDefinition<ConsistentHashOptions>;

function readBound(reader: OptionReader): number {
  const value = reader.value("bound");
  if (value === undefined) return DEFAULT_BOUND;
  if (value === false) return Infinity;
  if (typeof value === "number" && value >= 1 && value <= 100) return value;
  reader.rejectValue("bound", "a number from 1 to 100, or false for no bound");
  return Infinity;
}

function loadOf(backend: Backend): number {
  return backend.inFlight / backend.weight;
}
