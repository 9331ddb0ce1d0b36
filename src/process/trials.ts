import type { StrategyConfig } from "../config/config.ts";
import { ConfigError, type Problem, RuntimeError } from "../errors.ts";
import type { RuleReport } from "../strategy/conformance.ts";
import type { StrategyDescription } from "../strategy/module.ts";
import { evaluate, evaluateStrategyConfig } from "./evaluation.ts";
import type { BenchResult, TrialStep, TrialTask } from "./trial.ts";

/** For each rule: thousands of picks and a search for the shortest history, on a machine that is busy. */
const DEADLINE_MS = 20_000;
/** Ten thousand candidates are scanned for a while until their time is known. */
const BENCH_DEADLINE_MS = 120_000;
/** The default of `watchdog`: whoever checks a strategy need not have a config. */
const WATCHDOG_MS = 1000;
const ACCEPTED = "is accepted by leastwise serve";

export interface Conformance {
  /** Null when the strategy could not be loaded. */
  readonly description: StrategyDescription | null;
  /** Why it could not be loaded; empty when it was. */
  readonly problems: readonly Problem[];
  /** As far as it came; a rule at which the strategy looped or ended its process is broken. */
  readonly rules: readonly RuleReport[];
}

/** Every rule that a strategy is to keep, in a child. */
export async function tryConformance(
  strategy: StrategyConfig,
  tempDir: string,
  specifier: string,
  deadlineMs: number = DEADLINE_MS,
): Promise<Conformance> {
  let description: StrategyDescription | null = null;
  let current = "";
  const rules: RuleReport[] = [];
  const onStep = (step: TrialStep): void => {
    if ("loaded" in step) description = step.loaded;
    else if ("begins" in step) current = step.begins;
    else rules.push(step.ended);
  };
  try {
    await runTask(strategy, tempDir, { task: "conformance", specifier }, { deadlineMs, onStep });
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    if (description === null) return { description, problems: thrown.problems, rules };
    const explanation = thrown.problems.map(({ message }) => message).join("; ");
    rules.push({ rule: current, ok: false, explanation, test: null });
    return { description, problems: [], rules };
  }
  rules.push({ rule: ACCEPTED, ...(await findRefusal(strategy, tempDir)), test: null });
  return { description, problems: [], rules };
}

/** The trial that `serve` does, as it does it: nothing of it has been loaded in that child before. */
async function findRefusal(
  strategy: StrategyConfig,
  tempDir: string,
): Promise<{ readonly ok: boolean; readonly explanation: string | null }> {
  try {
    await evaluateStrategyConfig(strategy, tempDir, { watchdogMs: WATCHDOG_MS });
    return { ok: true, explanation: null };
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    const lines = thrown.problems.map(({ path, message }) => `${path}: ${message}`);
    return { ok: false, explanation: lines.join("\n") };
  }
}

export interface Bench {
  readonly description: StrategyDescription;
  /** Nanoseconds per pick, one for each number of candidates. */
  readonly nsPerPick: readonly number[];
}

/**
 * How long picks take, in a child of its own: what ran before in the same process decides how fast a
 * call is.
 *
 * @throws {ConfigError} when the strategy cannot be loaded, loops, or ends its process.
 * @throws {RuntimeError} when it faults: what was measured from then on was not the strategy.
 */
export async function tryBench(
  strategy: StrategyConfig,
  tempDir: string,
  candidates: readonly number[],
): Promise<Bench> {
  let description: StrategyDescription | null = null;
  const onStep = (step: TrialStep): void => {
    if ("loaded" in step) description = step.loaded;
  };
  const task = { task: "bench", candidates } as const;
  const limits = { deadlineMs: BENCH_DEADLINE_MS, onStep };
  const { nsPerPick, fault } = (await runTask(strategy, tempDir, task, limits)) as BenchResult;
  if (description === null) throw new Error("the child did not say what it loaded");
  if (fault !== null) throw new RuntimeError(fault);
  return { description, nsPerPick };
}

async function runTask(
  strategy: StrategyConfig,
  tempDir: string,
  task: TrialTask,
  limits: { readonly deadlineMs: number; readonly onStep: (step: TrialStep) => void },
): Promise<unknown> {
  const subject = strategy.kind === "file" ? strategy.file : strategy.name;
  return await evaluate({ kind: "trial", strategy, tempDir, ...task }, subject, limits);
}
