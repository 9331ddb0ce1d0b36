import type { DemoReport, ReportRow } from "../../../src/cli/demo/demo-report.ts";
import { createLaunchScenario } from "../../../src/cli/demo/scenario.ts";
import type { PhaseSummary } from "../../../src/cli/demo/summary.ts";

/** A row of 1000 requests, 300 of which went to degraded backends. */
export function createRow(row: { label: string; p99: number | null; errors: number }): ReportRow {
  const { label, p99, errors } = row;
  const summary: PhaseSummary = {
    sent: 1000,
    ok: 1000 - errors,
    errors: {
      total: errors,
      rate: errors / 1000,
      byKind: errors === 0 ? {} : { backend_502: errors },
    },
    latencyMs: p99 === null ? null : { p50: p99 / 2, p90: p99 * 0.9, p99, max: p99 * 2 },
    share: {
      normal: { answers: 700, fraction: 0.7 },
      degraded: { answers: 300, fraction: 0.3 },
    },
    unanswered: 0,
  };
  return {
    label,
    strategy: label,
    guards: "off",
    baseline: summary,
    spike: summary,
    generator: { lagP99Ms: 2.1, lagMaxMs: 8, notSent: 0, connectionsOpened: 500, reconnects: 0 },
  };
}

export function createReport(
  rows: readonly ReportRow[],
  findings: readonly string[] = [],
): DemoReport {
  const scenario = createLaunchScenario({ seed: 1, baselineMs: 4000, spikeMs: 20_000 });
  return { scenario, calibrated: true, rows, findings };
}
