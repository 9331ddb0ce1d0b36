import { describeThrown } from "../config/describe.ts";
import type { Logger } from "../log.ts";
import type { ServingPool } from "../proxy/serving-pool.ts";
import type { Answer, InstanceSnapshot, Question } from "./answers.ts";
import type { DecisionLog } from "./decision-log.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

export interface WorkerKnowledge {
  readonly decisions: DecisionLog;
  readonly serving: ReadonlyMap<string, ServingPool>;
  readonly now: () => number;
  /** Throws when the answer holds what no other process can be given. */
  readonly tell: (message: FromWorker) => void;
  readonly log: Logger;
}

/** Of a snapshot that is sent: what knows of ten thousand backends is smaller. */
const MOST_BYTES = 16 * 2 ** 20;

/**
 * The worker's side of `answers.ts`. Never throws: all workers are asked at once, and what goes wrong in one goes
 * wrong in all of them. Without an answer, the master goes on after a second.
 */
export function tellAnswer(
  { id, question }: Extract<ToWorker, { type: "ask" }>,
  known: WorkerKnowledge,
): void {
  try {
    known.tell({ type: "answer", id, answer: answerOf(question, known) });
  } catch (error) {
    const fields = { about: question.about, error: describeThrown(error) };
    known.log.error("a question of the master cannot be answered", fields);
  }
}

function answerOf(question: Question, known: WorkerKnowledge): Answer {
  if (question.about === "decisions") {
    return { about: "decisions", decisions: known.decisions.read(question.query) };
  }
  const serving = known.serving.get(question.pool);
  const instance = serving === undefined ? null : takeInstance(serving, known.now());
  return { about: "instance", instance };
}

function takeInstance({ host }: ServingPool, nowMs: number): InstanceSnapshot {
  const { name, quarantined } = host;
  const bytes = host.takeSnapshotBytes();
  const size = bytes?.byteLength ?? 0;
  const fits = size <= MOST_BYTES;
  return { name, quarantined, nowMs, bytes: fits ? bytes : null, tooLarge: fits ? 0 : size };
}
