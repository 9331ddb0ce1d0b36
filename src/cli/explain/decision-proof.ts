import { askAdmin, type AdminTarget } from "../../admin/client.ts";
import type { RecordedDecision } from "../../admin/recorded-decision.ts";
import type { ExplainAnswer } from "../../admin/explanation.ts";
import { RuntimeError } from "../../errors.ts";
import { evaluate, evaluateStrategyConfig } from "../../process/evaluation.ts";
import { readReplayed } from "../../process/explained.ts";
import type { Replayed } from "../../process/explain-job.ts";

/** A decision that a copy of its strategy, made from what is known, comes to again. */
export interface ProvenDecision {
  readonly decision: RecordedDecision;
  readonly options: unknown;
  /** What `env.previous` must be for that; undefined: nothing. */
  readonly previous: unknown;
  /** Over these seeds some come to it and some do not; null: chance has no part in it. */
  readonly seeds: number | null;
  /** That it is another version that comes to it, in words; null: it is the one that made it. */
  readonly otherVersion: string | null;
}

const SEEDS = 100;

/** Throws RuntimeError when no copy comes to it again. */
export async function proveDecision(
  target: AdminTarget,
  decision: RecordedDecision,
  source: string,
  tempDir: string,
): Promise<ProvenDecision> {
  const { strategy: by, chosen, pool, leftOut } = decision;
  if (decision.fallback) {
    throw new RuntimeError(`least connections made this decision, because ${by.name} could not`);
  }
  if (decision.decidedBy === "affinity") {
    throw new RuntimeError(`${by.name} was not asked: the client's session is at ${chosen}`);
  }
  if (leftOut > 0) {
    throw new RuntimeError(`the pool is too large: ${leftOut} of its backends are not kept`);
  }
  const body = { url: decision.request.path, pool, facts: true };
  const question = { method: "POST", body, timeoutMs: 60_000 } as const;
  const { facts } = (await askAdmin(target, "/api/v1/explain", question)) as ExplainAnswer;
  const options = facts?.options;
  const strategy = {
    kind: "file",
    file: source,
    ...(options === undefined ? {} : { options }),
  } as const;
  const { module, description } = await evaluateStrategyConfig(strategy, tempDir);
  const replay = async (bytes: Uint8Array | null): Promise<Replayed> => {
    const seeds = Array.from({ length: SEEDS }, (_, seed) => seed);
    const task = { task: "replay", decision, bytes, seeds } as const;
    const job = { kind: "explain", strategy, module, description, ...task } as const;
    return readReplayed(await evaluate(job, source), source);
  };
  // What it had learnt by then is not kept; what it knows by now may be enough.
  const { snapshot = null } = facts ?? {};
  const anew = await replay(null);
  const learnt =
    snapshot === null ? anew : await replay(new Uint8Array(Buffer.from(snapshot, "base64")));
  const { name, version } = description;
  const isOther = version !== by.version;
  const maker = `${by.name} ${by.version}`;
  const isByNow = `${source} is ${name} ${version} by now`;
  const otherVersion = isOther
    ? `${maker} made this decision; ${isByNow}, and can make it, too`
    : null;
  // What least connections comes to, because the other version fails, is no decision of its.
  const tries = [anew, learnt].filter(({ loss, fault }) => loss === null && fault === null);
  const certain = tries.find(({ picks }) => picks.every((id) => id === chosen));
  if (certain !== undefined) {
    return { decision, options, previous: certain.previous, seeds: null, otherVersion };
  }
  // A score that was the lowest alone is no matter of chance: that it can come to it shows nothing.
  const mayVary = decision.tie || decision.decidedBy === "pick";
  const possible = mayVary ? tries.find(({ picks }) => picks.includes(chosen)) : undefined;
  if (possible !== undefined) {
    return { decision, options, previous: possible.previous, seeds: SEEDS, otherVersion };
  }
  const others = [...new Set(learnt.picks)].map((id) => id ?? "nobody").join(", ");
  const withheld = decision.request.withheld.join(", ");
  const reasons = [
    ...(isOther ? [`${maker} made it, and ${isByNow}`] : []),
    ...(withheld === "" ? [] : [`it looked at ${withheld}, whose value is not recorded`]),
  ];
  throw new RuntimeError(
    `no test can show this ${chosen === null ? "refusal" : `decision for ${chosen}`}: ${name}, asked again, picks ${others}` +
      (learnt.fault === null ? "; " : ` (${learnt.fault}); `) +
      (reasons.join("; ") ||
        "what it had learnt from earlier requests, and the options that it had, are not recorded"),
  );
}
