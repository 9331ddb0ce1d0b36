import type { StrategyConfig } from "../../config/config.ts";
import { ConfigError } from "../../errors.ts";
import { tryBench } from "../../process/trials.ts";
import { builtInNames } from "../../strategy/built-in.ts";
import { renderTable } from "../table.ts";

const CANDIDATES = [3, 100, 1000, 10_000] as const;

export interface BenchRow {
  readonly strategy: string;
  /** `built-in`, or the file. */
  readonly source: string;
  /** Nanoseconds per pick, by number of candidates. */
  readonly nsPerPick: Readonly<Record<string, number>>;
}

/**
 * The strategy first, then the built-in ones. One after the other: they would take time from each
 * other.
 *
 * @throws {ConfigError} when the strategy cannot be loaded.
 * @throws {RuntimeError} when it faults, with at how many candidates.
 */
export async function benchStrategies(
  subject: StrategyConfig,
  tempDir: string,
): Promise<readonly BenchRow[]> {
  const rows = [await benchOne(subject, tempDir)];
  for (const name of builtInNames) {
    if (subject.kind === "built-in" && subject.name === name) continue;
    try {
      rows.push(await benchOne({ kind: "built-in", name }, tempDir));
    } catch (thrown) {
      // One that does nothing without options is no measure for others.
      if (!(thrown instanceof ConfigError)) throw thrown;
    }
  }
  return rows;
}

/** For people: how the time grows with the pool, and what others take. */
export function renderBench(rows: readonly BenchRow[]): string {
  const head = ["NS PER PICK", ...CANDIDATES.map((count) => `${count.toLocaleString("en")}`)];
  const body = rows.map(({ strategy, source, nsPerPick }) => [
    source === "built-in" ? strategy : `${strategy} (yours)`,
    ...CANDIDATES.map((count) => Math.round(nsPerPick[count] ?? NaN).toLocaleString("en")),
  ]);
  return `${renderTable([[...head, "candidates"], ...body])}\n`;
}

async function benchOne(strategy: StrategyConfig, tempDir: string): Promise<BenchRow> {
  const { description, nsPerPick } = await tryBench(strategy, tempDir, CANDIDATES);
  return {
    strategy: description.name,
    source: description.source,
    nsPerPick: Object.fromEntries(
      CANDIDATES.map((count, index) => [count, Math.round((nsPerPick[index] ?? NaN) * 10) / 10]),
    ),
  };
}
