import { createArrivals } from "./arrivals.ts";
import { startBackends } from "./backends-process.ts";
import type { DemoReport, ReportRow, RowPlan } from "./demo-report.ts";
import { createFindings } from "./findings.ts";
import { assertKeptUp, GeneratorLagError } from "./generator-error.ts";
import { runLoad } from "./load-generator.ts";
import { startProxy } from "./proxy-process.ts";
import type { Scenario } from "./scenario.ts";
import { summariseGenerator, summarisePhase } from "./summary.ts";

export interface DemoOptions {
  readonly scenario: Scenario;
  readonly rows: readonly RowPlan[];
  /** For config files and logs; must exist. */
  readonly folder: string;
  /** Above this lag (p99 in the spike) nothing is reported. */
  readonly maxLagMs: number;
  /** Stops everything that runs; `runDemo` then rejects with the signal's reason. */
  readonly signal: AbortSignal;
  readonly onProgress: (progress: DemoProgress) => void;
  /** A run is done again because the load generator fell behind. */
  readonly onRepeat: () => void;
}

export interface DemoProgress {
  readonly row: RowPlan;
  /** From 0. */
  readonly rowIndex: number;
  readonly rowCount: number;
  readonly phase: "baseline" | "spike" | "drain";
  /** Of the whole demo, 0 to 1. */
  readonly fraction: number;
}

/** Somebody else's moment of work on this machine should not cost the runs that are done. */
const MAX_REPEATS = 1;

/** Runs the scenario once per row, each with fresh backends and a fresh proxy. Leaves no process behind. */
export async function runDemo(options: DemoOptions): Promise<DemoReport> {
  const rows: ReportRow[] = [];
  let repeats = MAX_REPEATS;
  for (let rowIndex = 0; rowIndex < options.rows.length; rowIndex++) {
    try {
      rows.push(await runRow(options, rowIndex));
    } catch (error) {
      if (!(error instanceof GeneratorLagError) || repeats-- === 0) throw error;
      options.onRepeat();
      rowIndex--;
    }
  }
  return { scenario: options.scenario, calibrated: true, rows, findings: createFindings(rows) };
}

async function runRow(options: DemoOptions, rowIndex: number): Promise<ReportRow> {
  const { scenario, rows, folder, signal, maxLagMs } = options;
  const row = rows[rowIndex];
  if (row === undefined) throw new RangeError(`there is no row ${rowIndex}`);
  const arrivals = createArrivals(scenario.phases, scenario.seed);
  const backendsProcess = await startBackends(scenario, signal);
  try {
    const { backends, guard } = backendsProcess;
    const proxy = await startProxy({ row, backends, folder, signal, onSpawn: guard });
    try {
      const result = await runLoad({
        port: proxy.port,
        arrivals,
        signal,
        onProgress(elapsedMs) {
          const done = Math.min(1, elapsedMs / arrivals.durationMs);
          const phase = phaseAt(scenario, elapsedMs);
          const fraction = (rowIndex + done) / rows.length;
          options.onProgress({ row, rowIndex, rowCount: rows.length, phase, fraction });
        },
      });
      await proxy.assertRunning();
      const spike = scenario.phases.findIndex((phase) => phase.name === "spike");
      const baseline = scenario.phases.findIndex((phase) => phase.name === "baseline");
      const generator = summariseGenerator(arrivals, spike, result);
      assertKeptUp(generator, maxLagMs, row);
      return {
        ...row,
        baseline: summarisePhase(arrivals, baseline, result),
        spike: summarisePhase(arrivals, spike, result),
        generator,
      };
    } finally {
      await proxy.stop();
    }
  } finally {
    await backendsProcess.stop();
  }
}

function phaseAt(scenario: Scenario, elapsedMs: number): DemoProgress["phase"] {
  let end = 0;
  for (const phase of scenario.phases) {
    end += phase.durationMs;
    if (elapsedMs < end) return phase.name;
  }
  return "drain";
}
