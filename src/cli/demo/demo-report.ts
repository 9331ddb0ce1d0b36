import type { Scenario } from "./scenario.ts";
import type { GeneratorSummary, PhaseSummary } from "./summary.ts";

/** One run of the scenario: what was under test. */
export interface RowPlan {
  /** How the row is called in the report. */
  readonly label: string;
  /** A built-in's name or a file, as given. */
  readonly strategy: string;
  /** `off`: no probes, no ejection, no retries. `defaults`: as `serve` has them without a config. */
  readonly guards: "off" | "defaults";
}

export interface ReportRow extends RowPlan {
  readonly baseline: PhaseSummary;
  readonly spike: PhaseSummary;
  readonly generator: GeneratorSummary;
}

/** What `demo --json` prints, and what the text report is drawn from. */
export interface DemoReport {
  readonly scenario: Scenario;
  /** Always true: the degraded backends' lost capacity was chosen so that the effect can be seen. */
  readonly calibrated: true;
  readonly rows: readonly ReportRow[];
  /** Sentences about the rows, each computed from their figures. */
  readonly findings: readonly string[];
}

/**
 * The given strategies without guards, then least connections as `serve` runs it. The first two are
 * compared bare because guards would hide part of what the strategy itself does.
 */
export function planRows(strategies: readonly string[]): readonly RowPlan[] {
  const bare = strategies.length > 0 ? strategies : ["round-robin", "least-connections"];
  return [
    ...bare.map((strategy) => ({ label: strategy, strategy, guards: "off" as const })),
    {
      label: "least-connections + defaults",
      strategy: "least-connections",
      guards: "defaults" as const,
    },
  ];
}
