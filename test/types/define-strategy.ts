/** Checked by `bun check`, never run: what a strategy's author is told while typing. */
import { defineStrategy } from "../../src/index.ts";
import type {
  Backend,
  Strategy,
  StrategyCounter,
  StrategyPlugin,
  StrategySpan,
} from "../../src/plugin.ts";

// The whole of least connections.
defineStrategy({
  name: "mine",
  apiVersion: 1,
  create: () => ({ score: (b) => b.inFlight / b.weight }),
}) satisfies StrategyPlugin;

// A plain object is enough.
export const plain = {
  name: "mine",
  apiVersion: 1,
  create: (env) => ({ pick: (candidates) => (env.random() < 0.5 ? candidates[0] : null) }),
} satisfies StrategyPlugin;

// Options have the type that parseOptions returns, wherever it stands.
defineStrategy({
  name: "mine",
  apiVersion: 1,
  parseOptions: (raw) => ({ zone: String(raw) }),
  create: (env) => ({ score: (b) => (b.labels["zone"] === env.options.zone.trim() ? 0 : 1) }),
}) satisfies StrategyPlugin<{ zone: string }>;

defineStrategy({
  name: "mine",
  apiVersion: 1,
  create: (env) => ({ score: (b) => (b.labels["zone"] === env.options.zone.trim() ? 0 : 1) }),
  parseOptions: (raw: unknown) => ({ zone: String(raw) }),
});

// An options type may be given, and then parseOptions must return it.
defineStrategy<{ zone: string }>({
  name: "mine",
  apiVersion: 1,
  // @ts-expect-error no zone
  parseOptions: () => ({}),
  create: () => ({ score: () => 0 }),
});

// @ts-expect-error options that nobody parses
defineStrategy<{ zone: string }>({
  name: "mine",
  apiVersion: 1,
  create: (env) => ({ score: () => env.options.zone.length }),
});

defineStrategy({
  name: "mine",
  apiVersion: 1,
  // @ts-expect-error without parseOptions there are no options
  create: (env) => ({ score: () => env.options.zone }),
});

defineStrategy({
  name: "mine",
  apiVersion: 1,
  // @ts-expect-error what the config gives is unknown
  parseOptions: (raw) => raw.zone,
  create: () => ({}),
});

// @ts-expect-error an asynchronous pick
defineStrategy({ name: "mine", apiVersion: 1, create: () => ({ pick: async (c) => c[0] }) });

// @ts-expect-error an asynchronous score
defineStrategy({ name: "mine", apiVersion: 1, create: () => ({ score: async () => 1 }) });

// @ts-expect-error an asynchronous create
defineStrategy({ name: "mine", apiVersion: 1, create: async () => ({ score: () => 1 }) });

defineStrategy({
  name: "mine",
  apiVersion: 1,
  // @ts-expect-error find may return undefined: refusing is null
  create: () => ({ pick: (candidates) => candidates.find((b) => b.inFlight < 3) }),
});

// @ts-expect-error a score that is no number
defineStrategy({ name: "mine", apiVersion: 1, create: () => ({ score: (b) => b.id }) });

// @ts-expect-error another version of the API
defineStrategy({ name: "mine", apiVersion: 2, create: () => ({ score: () => 1 }) });

// @ts-expect-error no name
defineStrategy({ apiVersion: 1, create: () => ({ score: () => 1 }) });

// Nothing that a strategy is given can be written to.
export function write(backend: Backend, strategy: Strategy): void {
  // @ts-expect-error
  backend.weight = 2;
  // @ts-expect-error
  backend.inFlight++;
  // @ts-expect-error
  backend.labels["zone"] = "b";
  // @ts-expect-error
  strategy.onPoolChange = (backends) => backends.pop();
  strategy.pick = (candidates, context) => {
    // @ts-expect-error
    candidates[0] = backend;
    // @ts-expect-error
    candidates.pop();
    // @ts-expect-error
    context.attempt = 1;
    // @ts-expect-error
    context.request.path = "/";
    return candidates[0];
  };
}

// Notes on the trace and counters of its own.
defineStrategy({
  name: "mine",
  apiVersion: 1,
  create: ({ span, counter }) => {
    const moves: StrategyCounter = counter("moves");
    moves.add();
    moves.add(2);
    // @ts-expect-error a count is a number
    moves.add("2");
    // @ts-expect-error a name is text
    counter(7);
    span satisfies StrategySpan;
    return {
      score: (b) => b.inFlight,
      onStart: ({ backend }) => {
        span.setAttribute("zone", backend.labels["zone"] ?? "none");
        span.setAttribute("warm", true);
        span.addEvent("moved");
        span.addEvent("moved", { from: "a", ms: 1 });
        // @ts-expect-error a value must be told apart from nothing
        span.setAttribute("zone", backend.labels["zone"]);
        // @ts-expect-error no objects
        span.addEvent("moved", { from: backend });
      },
    };
  },
});

// A class may be a strategy.
export class Mine implements Strategy {
  readonly #fewest = 1;

  score(backend: Backend): number {
    return backend.inFlight - this.#fewest;
  }
}
