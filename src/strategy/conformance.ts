import type { StrategyPlugin } from "../plugin.ts";
import { renderHistoryTest } from "./history-test.ts";
import { measurePick, pickBudgetNs } from "./pick-speed.ts";
import { BrokenCase, strategySuite } from "./suite.ts";

export interface ConformanceOptions {
  readonly plugin: StrategyPlugin<unknown>;
  readonly options?: unknown;
  /** What a test beside the strategy imports: `./mine.ts`. */
  readonly specifier: string;
  /** Monotonic nanoseconds. */
  nowNs(): number;
  /** Where something was thrown: `mine.ts:3:7`. */
  locate(thrown: unknown): Promise<string>;
  /** Before each rule. */
  onBegin(rule: string): Promise<void>;
  onEnd(report: RuleReport): void;
}

/** One rule, kept or broken; plain data. */
export interface RuleReport {
  /** A situation in plain words. */
  readonly rule: string;
  readonly ok: boolean;
  /** What the strategy did, in a sentence; null when the rule is kept. */
  readonly explanation: string | null;
  /** The source of a test that shows it, with the shortest history that was found. */
  readonly test: string | null;
}

/** Sizes of pools whose picks are timed. */
const SIZES = [10, 1000];

/** Tens of thousands of picks that take this much longer than they may would take minutes. */
const HOPELESS = 5;

/**
 * The time that picks take, and every rule of the suite. Runs the user's code. A strategy that is
 * far too slow is told so and nothing else.
 */
export async function checkConformance(options: ConformanceOptions): Promise<void> {
  for (const size of SIZES) {
    const rule = `picks within ${inMicroseconds(pickBudgetNs(size))} of ${size} candidates`;
    await options.onBegin(rule);
    const { explanation, isHopeless } = await findSlowness(options, size);
    options.onEnd({ rule, ok: explanation === null, explanation, test: null });
    if (isHopeless) return;
  }
  for (const { name, run } of strategySuite(options.plugin, options.options)) {
    await options.onBegin(name);
    options.onEnd(await runCase(name, run, options));
  }
}

async function runCase(
  name: string,
  run: () => void,
  { specifier, locate }: ConformanceOptions,
): Promise<RuleReport> {
  try {
    run();
    return { rule: name, ok: true, explanation: null, test: null };
  } catch (thrown) {
    if (!(thrown instanceof BrokenCase)) {
      const explanation = thrown instanceof Error ? thrown.message : String(thrown);
      return { rule: name, ok: false, explanation, test: null };
    }
    const { promise, history, cause } = thrown;
    const place = cause instanceof Error ? `${await locate(cause)}: ` : "";
    const explanation = `${place}${thrown.explanation}`;
    const options = { name, promise, explanation: thrown.explanation, history, specifier };
    return { rule: name, ok: false, explanation, test: renderHistoryTest(options) };
  }
}

/** Null: a pick is fast enough. */
async function findSlowness(
  options: ConformanceOptions,
  candidates: number,
): Promise<{ readonly explanation: string | null; readonly isHopeless: boolean }> {
  const budget = pickBudgetNs(candidates);
  const { ns: taken, fault } = measurePick({ ...options, candidates, roundNs: 2e6 });
  if (fault !== null) {
    const place = fault.cause instanceof Error ? `${await options.locate(fault.cause)}: ` : "";
    // In other words than the rule that shows it with a test: one reason is explained once.
    const explanation = `no time was taken, for it faults: ${place}${fault.message}`;
    return { explanation, isHopeless: false };
  }
  if (taken <= budget) return { explanation: null, isHopeless: false };
  const isHopeless = taken > HOPELESS * budget;
  const explanation =
    `a pick takes ${inMicroseconds(taken)}, and everything else in the worker waits for it; allowed ` +
    `are 20 µs and 1 µs per candidate${isHopeless ? "; no other rule was tried" : ""}`;
  return { explanation, isHopeless };
}

function inMicroseconds(ns: number): string {
  return `${(ns / 1000).toLocaleString("en", { maximumFractionDigits: ns < 10_000 ? 1 : 0 })} µs`;
}
