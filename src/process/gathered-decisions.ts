import type { DecisionQuery, RecordedDecision } from "../admin/recorded-decision.ts";
import type { WorkerHandle } from "./worker-handle.ts";

/** Of all workers, the newest first. One that does not answer in time is left out. */
export async function gatherDecisions(
  workers: readonly Pick<WorkerHandle, "ask">[],
  query: DecisionQuery,
): Promise<RecordedDecision[]> {
  const answers = await Promise.all(workers.map((each) => each.ask({ about: "decisions", query })));
  return answers
    .flatMap((answer) => (answer?.about === "decisions" ? answer.decisions : []))
    .toSorted((one, two) => (one.at < two.at ? 1 : one.at > two.at ? -1 : 0))
    .slice(0, query.limit);
}
