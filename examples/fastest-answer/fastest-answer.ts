// leastwise serve --strategy ./fastest-answer.ts --backend http://127.0.0.1:3001 --backend http://127.0.0.1:3002
//
// Prefers backends that answer fast: expected time to the first byte, times the requests in flight.
// Shows state per backend, hooks, and what is handed on when the file is changed and loaded again.
import { type Backend, defineStrategy } from "leastwise";

/** What is known fades with this time constant, so that who was slow is tried again. */
const FADE_MS = 10_000;
/** A failure counts as an answer this slow: failing fast must not look like being fast. */
const FAILURE_MS = 5000;
/** What a backend without any answer is taken for. */
const FIRST_GUESS_MS = 100;

export default defineStrategy({
  name: "fastest-answer",
  apiVersion: 1,
  description: "expected time to the first byte times requests in flight",
  create(env) {
    const known = isTable(env.previous) ? env.previous : {};
    const stateOf = env.perBackend(({ id }) => ({
      ms: known[id] ?? FIRST_GUESS_MS,
      at: env.now(),
    }));
    let pool: readonly Backend[] = [];

    function expectedMs(backend: Backend): number {
      const { ms, at } = stateOf(backend);
      return ms * Math.exp((at - env.now()) / FADE_MS);
    }

    /** Peaks count at once, good answers little by little. */
    function learn(backend: Backend, ms: number): void {
      const state = stateOf(backend);
      const kept = Math.exp((state.at - env.now()) / FADE_MS);
      state.ms = ms > state.ms ? ms : state.ms * kept + ms * (1 - kept);
      state.at = env.now();
    }

    return {
      score: (backend) => (expectedMs(backend) * (backend.inFlight + 1)) / backend.weight,
      onPoolChange(backends) {
        pool = backends;
      },
      onResponse({ backend }, { status, firstByteMs, upgraded }) {
        if (!upgraded) learn(backend, status < 500 ? firstByteMs : FAILURE_MS);
      },
      onEnd({ backend }, { outcome, status }) {
        if (status === null && outcome !== "client_gone") learn(backend, FAILURE_MS);
      },
      snapshot: () => Object.fromEntries(pool.map((backend) => [backend.id, expectedMs(backend)])),
    };
  },
});

/** An older version of this file may have left something else. */
function isTable(previous: unknown): previous is Record<string, number> {
  return (
    typeof previous === "object" &&
    previous !== null &&
    Object.values(previous).every((value) => typeof value === "number" && value >= 0)
  );
}
