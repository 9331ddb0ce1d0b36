import { bundleModule } from "../config/bundle.ts";
import { readConfigFile } from "../config/load.ts";
import { locateThrown } from "../config/thrown.ts";
import { ConfigError } from "../errors.ts";
import { evaluateStrategy } from "../strategy/evaluate.ts";
import type { StrategyModule } from "../strategy/module.ts";
import { closeGlobals } from "./closed-globals.ts";
import { runExplanation } from "./explain-child.ts";
import { closeObjectPrototype } from "./object-prototype.ts";
import type { TrialStep } from "./trial.ts";
import { runTrial } from "./trial-child.ts";
import type {
  EvaluatedStrategy,
  EvaluationJob,
  EvaluationReply,
  EvaluationRequest,
  SealedReply,
} from "./evaluation.ts";

/**
 * The child's side of `evaluation.ts`: takes one job over IPC, answers, and is killed. It is the one
 * process besides the workers in which the user's code runs.
 */
export async function runEvaluation(): Promise<void> {
  const send = process.send?.bind(process);
  if (!send) throw new Error("__evaluate is started by leastwise itself");
  process.on("disconnect", () => process.exit(0));

  const { job, seal } = await new Promise<EvaluationRequest>((resolve) => {
    process.once("message", (message: EvaluationRequest) => resolve(message));
  });
  const reply = (message: EvaluationReply): void => {
    send({ ...message, seal } satisfies SealedReply);
  };
  // From a timer of the user's file, or a promise that it left behind: in a worker nobody would see it.
  const refuseStray = (thrown: unknown): void => {
    const problem = locateThrown(thrown, fileOf(job), "threw outside of every call to it");
    reply({ kind: "refused", problems: [problem], file: null });
  };
  process.on("uncaughtException", refuseStray);
  process.on("unhandledRejection", refuseStray);
  // As in a worker, so that a strategy that changes them is refused here.
  if (job.kind !== "config") closeObjectPrototype();
  // Trials give a strategy clocks and randomness of their own.
  if (job.kind === "strategy" || job.kind === "explain") closeGlobals();
  reply({ kind: "started" });
  try {
    reply({ kind: "done", value: await runJob(job, (step) => reply({ kind: "step", step })) });
  } catch (thrown) {
    reply(describeEnd(thrown));
  }
}

async function runJob(job: EvaluationJob, tell: (step: TrialStep) => void): Promise<unknown> {
  if (job.kind === "config") return await readConfigFile(job);
  if (job.kind === "trial") return await runTrial(job, tell);
  if (job.kind === "explain") return await runExplanation(job);
  const { strategy, tempDir, watchdogMs } = job;
  const { module, sources } = await makeModule(strategy, tempDir);
  const limit = watchdogMs === null ? null : { limitMs: watchdogMs, cpuMs: threadCpuMs };
  const description = await evaluateStrategy(module, strategy.options, limit);
  return { module, description, sources } satisfies EvaluatedStrategy;
}

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function fileOf(job: EvaluationJob): string {
  if (job.kind === "config") return job.file ?? "the config file";
  return job.strategy.kind === "file" ? job.strategy.file : job.strategy.name;
}

async function makeModule(
  strategy: Extract<EvaluationJob, { kind: "strategy" }>["strategy"],
  tempDir: string,
): Promise<{ readonly module: StrategyModule; readonly sources: readonly string[] }> {
  if (strategy.kind === "built-in") {
    return { module: { kind: "built-in", name: strategy.name }, sources: [] };
  }
  const { path, version, sources } = await bundleModule(strategy.file, tempDir);
  return { module: { kind: "file", source: strategy.file, path, version }, sources };
}

function describeEnd(thrown: unknown): EvaluationReply {
  if (thrown instanceof ConfigError) {
    return { kind: "refused", problems: thrown.problems, file: thrown.file };
  }
  const stack = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return { kind: "broken", stack };
}
