import { ConfigError, type Problem, RuntimeError } from "../errors.ts";
import type { PhaseAnswer } from "./worker-handle.ts";

const ENDED_EARLY = "a worker process ended before it could serve";

/**
 * Why a phase of a plan failed in a worker: its refusal, or its death (null). Null: it did not.
 * `cause`: of that death, if it is known.
 */
export function refusalOf(answer: PhaseAnswer | null, cause: string | null): Error | null {
  if (answer === null) {
    return new RuntimeError(cause === null ? ENDED_EARLY : `${ENDED_EARLY}: ${cause}`);
  }
  if (answer.type !== "refused") return null;
  const problems = boundProblems(answer.problems);
  if (!answer.atRunTime) return new ConfigError(problems);
  return new RuntimeError(problems.map(({ message }) => message).join("\n"));
}

/** Of a path, and of a message. */
const LONGEST_TEXT = 2000;
const MOST_TEXT = 8000;

/** What code of the user's says goes to logs, status and terminals: so much of it is enough. */
export function boundProblems(problems: readonly Problem[]): Problem[] {
  const bounded: Problem[] = [];
  let length = 0;
  for (const { path, message } of problems) {
    if (length >= MOST_TEXT) break;
    const problem = { path: boundText(path), message: boundText(message) };
    length += problem.path.length + problem.message.length;
    bounded.push(problem);
  }
  const left = problems.length - bounded.length;
  if (left > 0) bounded.push({ path: "leastwise", message: `${left} more are left out here` });
  return bounded;
}

function boundText(text: string): string {
  const left = text.length - LONGEST_TEXT;
  return left <= 0 ? text : `${text.slice(0, LONGEST_TEXT)}… (${left} more characters)`;
}
