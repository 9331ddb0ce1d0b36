import type { Health, Outcome } from "../plugin.ts";
import type { History, Step } from "../testing-api.ts";
import { createRandom } from "./random.ts";

const OUTCOMES: readonly Outcome[] = [
  "ok",
  "ok",
  "ok",
  "ok",
  "connect",
  "reset",
  "timeout",
  "truncated",
  "invalid",
  "client_gone",
];
const HEALTHS: readonly Health[] = ["healthy", "unhealthy", "healthy"];
const WEIGHTS = [1, 1, 1, 2, 3, 0.5];
/** What backends may be called that joined at any time. */
const MOST_BACKENDS = 12;

/**
 * A day in the life of a pool, decided by the seed: requests that pile up and end in every way, retries,
 * backends that join, leave and flap, and pauses from nothing to a minute.
 */
export function randomHistory(seed: number, picks: number): History {
  const random = createRandom(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  const oneOf = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const anyBackend = (): string => `backend-${1 + below(joined)}`;

  const weights = Array.from({ length: 1 + below(5) }, () => oneOf(WEIGHTS));
  let joined = weights.length;
  const steps: Step[] = [];
  for (let picked = 0; picked < picks;) {
    const dice = random();
    if (dice < 0.45) {
      picked++;
      steps.push(random() < 0.9 ? ["pick"] : ["pick", { attempt: 2, without: [anyBackend()] }]);
    } else if (dice < 0.8) steps.push(["end", below(4), oneOf(OUTCOMES)]);
    else if (dice < 0.9) steps.push(["wait", below(oneOf([20, 500, 60_000]))]);
    else if (dice < 0.93) steps.push(["start", anyBackend()]);
    else if (dice < 0.96) steps.push(["health", anyBackend(), oneOf(HEALTHS)]);
    else if (dice < 0.98 && joined < MOST_BACKENDS) {
      joined++;
      steps.push(["join", oneOf(WEIGHTS)]);
    } else steps.push(["leave", anyBackend()]);
  }
  return { seed, weights, steps };
}
