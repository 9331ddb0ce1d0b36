import type { Backend, Strategy, StrategyEnv } from "leastwise";

/** What is known fades with this time constant, so that who was slow is tried again. */
const FADE_MS = 10_000;
/** A failure counts as an answer this slow: failing fast must not look like being fast. */
const FAILURE_MS = 5000;

/** How long backends take to the first byte, and the hooks that find it out. */
export interface Latency {
  /** 0 for a backend that has not answered yet: it is tried first, until it is hot. */
  expectedMs(backend: Backend, now: number): number;
  readonly hooks: Required<Pick<Strategy, "onResponse" | "onEnd">>;
}

export function createLatency<Options>({ now, perBackend }: StrategyEnv<Options>): Latency {
  const stateOf = perBackend(() => ({ ms: 0, at: -Infinity }));

  /** Fast answers count little by little, `atOnce` is for what must not be lost among them. */
  function learn(backend: Backend, ms: number, atOnce = false): void {
    const state = stateOf(backend);
    const kept = atOnce ? 0 : Math.exp((state.at - now()) / FADE_MS);
    state.ms = state.ms * kept + ms * (1 - kept);
    state.at = now();
  }

  return {
    expectedMs(backend, now) {
      const { ms, at } = stateOf(backend);
      return ms * Math.exp((at - now) / FADE_MS);
    },
    hooks: {
      onResponse({ backend }, { status, firstByteMs, upgraded }) {
        if (status >= 500) learn(backend, FAILURE_MS, true);
        else if (!upgraded) learn(backend, firstByteMs);
      },
      onEnd({ backend }, { outcome }) {
        if (outcome !== "ok" && outcome !== "client_gone") learn(backend, FAILURE_MS, true);
      },
    },
  };
}
