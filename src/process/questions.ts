import { serialize } from "node:v8";
import type { ServingPool } from "../proxy/serving-pool.ts";
import type { Answer, InstanceSnapshot, Question } from "./answers.ts";
import type { DecisionLog } from "./decision-log.ts";

export interface WorkerKnowledge {
  readonly decisions: DecisionLog;
  readonly serving: ReadonlyMap<string, ServingPool>;
  readonly now: () => number;
}

/** Of a snapshot that is sent: what knows of ten thousand backends is smaller. */
const MOST_BYTES = 16 * 2 ** 20;

/** The worker's side of `answers.ts`. */
export function answerQuestion(question: Question, known: WorkerKnowledge): Answer {
  if (question.about === "decisions") {
    return { about: "decisions", decisions: known.decisions.read(question.query) };
  }
  const serving = known.serving.get(question.pool);
  const instance = serving === undefined ? null : takeInstance(serving, known.now());
  return { about: "instance", instance };
}

function takeInstance({ host }: ServingPool, nowMs: number): InstanceSnapshot {
  const { name, quarantined } = host;
  const snapshot = host.takeSnapshot();
  // Plain data: `takeSnapshot` has cloned it.
  const bytes = snapshot === undefined ? null : new Uint8Array(serialize(snapshot));
  const size = bytes?.byteLength ?? 0;
  const fits = size <= MOST_BYTES;
  return { name, quarantined, nowMs, bytes: fits ? bytes : null, tooLarge: fits ? 0 : size };
}
