import { ConfigError, RuntimeError } from "../errors.ts";
import type { FromWorker } from "./messages.ts";

export const ENDED_EARLY = "a worker process ended before it could serve";

/** Why a phase of a plan failed: the first refusal, or the death of a worker (null). Null: it did not. `cause`: of that death, if it is known. */
export function refusalOf(
  answers: readonly (FromWorker | null)[],
  cause: string | null = null,
): Error | null {
  const refusal = answers.find((answer) => answer?.type === "refused");
  if (refusal?.type === "refused") {
    const { problems, atRunTime } = refusal;
    if (!atRunTime) return new ConfigError(problems);
    return new RuntimeError(problems.map(({ message }) => message).join("\n"));
  }
  if (!answers.includes(null)) return null;
  return new RuntimeError(cause === null ? ENDED_EARLY : `${ENDED_EARLY}: ${cause}`);
}
