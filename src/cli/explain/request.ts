import { askAdmin, type AdminTarget } from "../../admin/client.ts";
import type { ExplainAnswer, ExplainedPick, ForkFacts } from "../../admin/explanation.ts";
import type { PoolConfig, StrategyConfig } from "../../config/config.ts";
import { resolveConfig } from "../../config/resolve.ts";
import { RuntimeError } from "../../errors.ts";
import { evaluate, evaluateStrategyConfig } from "../../process/evaluation.ts";
import { deadlineMs } from "../../process/explain-job.ts";
import { readExplained } from "../../process/explained.ts";
import { builtInNames } from "../../strategy/built-in.ts";
import { withTempDir } from "../temp-dir.ts";
import type { ExplainFlags } from "./question.ts";
import { renderAnswer } from "./report.ts";

/** Others may ask first, and each question may take seconds. */
const TIMEOUT_MS = 60_000;

/** Throws RuntimeError when nobody answers, or with why there is no answer. */
export async function explainRequest(
  target: AdminTarget,
  { body, strategy }: ExplainFlags & { readonly kind: "request" },
  json: boolean,
): Promise<string> {
  const question = { method: "POST", body, timeoutMs: TIMEOUT_MS } as const;
  const answer = readAnswer(await askAdmin(target, "/api/v1/explain", question));
  const { facts, pool } = answer;
  let { after } = answer;
  if (strategy !== null && facts !== null && pool !== null) {
    const changed = { drain: body.drain ?? [], weights: body.weights ?? {} };
    after = await tryOther(strategy, { ...answer, facts, pool }, changed);
  }
  // A snapshot is for nobody to read.
  const shown = { ...answer, after, facts: null };
  if (!json) return renderAnswer(shown, describeChange(body, strategy));
  const { facts: _facts, ...rest } = shown;
  return `${JSON.stringify(rest, null, 2)}\n`;
}

/** The proxy runs nobody's files but its config's: this one is run here, by whoever asks. */
async function tryOther(
  given: StrategyConfig,
  { pool, facts, request }: ExplainAnswer & { readonly pool: string; readonly facts: ForkFacts },
  modifications: { readonly drain: readonly string[]; readonly weights: Record<string, number> },
): Promise<ExplainedPick> {
  const isOwn = given.kind === "file" && given.file === facts.strategy.source;
  const strategy =
    isOwn && given.options === undefined && facts.options !== undefined
      ? { ...given, options: facts.options }
      : given;
  const subject = strategy.kind === "file" ? strategy.file : strategy.name;
  return withTempDir(async (tempDir) => {
    const { module, description } = await evaluateStrategyConfig(strategy, tempDir);
    const instance = {
      worker: null,
      name: facts.strategy.name,
      quarantined: false,
      nowMs: facts.nowMs,
      bytes: facts.snapshot === null ? null : new Uint8Array(Buffer.from(facts.snapshot, "base64")),
    };
    const job = {
      kind: "explain",
      task: "fork",
      strategy,
      module,
      description,
      pool: poolOf(pool, facts),
      facts: facts.backends,
      request,
      session: facts.session,
      instances: [instance],
      modifications,
    } as const;
    const limits = { deadlineMs: deadlineMs(facts.backends.length) };
    return readExplained(await evaluate(job, subject, limits), subject);
  });
}

/** What is not about picking is as it is by default: the proxy does not tell it. */
function poolOf(name: string, { backends }: ForkFacts): PoolConfig {
  const [pool] = resolveConfig(
    { pools: { [name]: { backends: ["http://127.0.0.1:1"] } } },
    { baseDir: process.cwd(), cpus: 1, platform: process.platform, strategies: builtInNames },
  ).pools;
  if (pool === undefined) throw new Error("a config with one pool has none");
  return { ...pool, backends: backends.map(({ config }) => config) };
}

function describeChange(
  { drain = [], weights = {} }: (ExplainFlags & { readonly kind: "request" })["body"],
  strategy: StrategyConfig | null,
): string {
  const changes = [
    ...drain.map((id) => `${id} draining`),
    ...Object.entries(weights).map(([id, weight]) => `${id} at weight ${weight}`),
  ];
  if (strategy !== null) {
    changes.unshift(`strategy ${strategy.kind === "file" ? strategy.file : strategy.name}`);
  }
  return changes.join(", ");
}

function readAnswer(value: unknown): ExplainAnswer {
  if (typeof value === "object" && value !== null && "before" in value && "request" in value) {
    return value as ExplainAnswer;
  }
  throw new RuntimeError("whoever answers there is no admin API of leastwise");
}
