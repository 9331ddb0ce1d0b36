import type { DemoReport, ReportRow } from "./demo-report.ts";
import { formatCount, formatMs, formatPercent } from "./format.ts";
import { type BackendKind, groupCapacity, type Scenario } from "./scenario.ts";
import { type Colour, drawBar, paint, type TerminalStyle } from "./terminal.ts";

const MAX_BAR_WIDTH = 40;
const VALUE_WIDTH = 9;

/** The report for people: every figure with its bar, row by row, so that rows can be compared at a glance. */
export function renderText(report: DemoReport, style: TerminalStyle): string {
  const { scenario, rows } = report;
  const labelWidth = Math.max(...rows.map((row) => row.label.length));
  const barWidth = Math.max(
    8,
    Math.min(MAX_BAR_WIDTH, style.columns - labelWidth - VALUE_WIDTH - 8),
  );
  const layout: Layout = { style, rows, labelWidth, barWidth };
  const lines = [
    paint(style, "bold", headline(scenario)),
    ...describe(report),
    "",
    ...latencyBlock(layout, "p50"),
    ...latencyBlock(layout, "p99"),
    ...errorBlock(layout),
    ...shareBlock(layout, scenario),
    ...report.findings.map((finding) => `- ${finding}`),
    "",
    ...measurement(report),
    "",
    ...nextSteps(),
  ];
  return `${lines.join("\n")}\n`;
}

interface Layout {
  readonly style: TerminalStyle;
  readonly rows: readonly ReportRow[];
  readonly labelWidth: number;
  readonly barWidth: number;
}

function headline(scenario: Scenario): string {
  const spike = scenario.phases.find((phase) => phase.name === "spike");
  const baseline = scenario.phases.find((phase) => phase.name === "baseline");
  return (
    `Launch spike: ${spike?.rate} requests/s for ${seconds(spike?.durationMs)}` +
    ` after ${baseline?.rate} requests/s, through the real proxy`
  );
}

function describe({ scenario }: DemoReport): string[] {
  const groups = scenario.backends.map((group) => {
    const capacity = groupCapacity(group, scenario);
    return `  ${group.count} ${group.kind} backends: ${group.slots} requests at a time each, ${capacity}/s together`;
  });
  return [
    ...groups,
    `  A request takes ${scenario.service.meanMs} ms; ${scenario.maxWaiting} may wait at a backend, the next one gets a 502.`,
    "  Calibrated: the degraded backends lost so much capacity on purpose.",
  ];
}

function latencyBlock(layout: Layout, name: "p50" | "p99"): string[] {
  const values = layout.rows.map((row) => row.spike.latencyMs?.[name] ?? null);
  const max = Math.max(...values.map((value) => value ?? 0));
  return block(layout, `${name} of good answers`, (_, index) => {
    const value = values[index] ?? null;
    if (value === null) return { value: "none", bar: "" };
    return { value: formatMs(value), bar: bar(layout, "cyan", value, max) };
  });
}

function errorBlock(layout: Layout): string[] {
  const max = Math.max(...layout.rows.map((row) => row.spike.errors.rate));
  return block(layout, "errors", ({ spike: { errors } }) => ({
    value: formatPercent(errors.rate),
    bar: [bar(layout, "red", errors.rate, max), ...kindsOf(errors.byKind)]
      .filter(Boolean)
      .join(" "),
  }));
}

function shareBlock(layout: Layout, scenario: Scenario): string[] {
  const total = scenario.backends.reduce((sum, group) => sum + groupCapacity(group, scenario), 0);
  const degraded = scenario.backends.filter((group) => group.kind === "degraded");
  const capacity = degraded.reduce((sum, group) => sum + groupCapacity(group, scenario), 0);
  const title = `share of the degraded backends (they have ${formatPercent(capacity / total)} of the capacity)`;
  return block(layout, title, ({ spike: { share } }) => {
    const width = Math.round(share.degraded.fraction * layout.barWidth);
    const kinds: readonly BackendKind[] = ["normal", "degraded"];
    const counts = kinds.map((kind) => `${kind} ${formatCount(share[kind].answers)}`);
    return {
      value: formatPercent(share.degraded.fraction),
      bar: `${bar(layout, "yellow", share.degraded.fraction, 1)}${rest(layout, width)} ${counts.join(", ")}`,
    };
  });
}

/** The part of a share bar that the other backends have. */
function rest({ style, barWidth }: Layout, used: number): string {
  return paint(style, "dim", (style.blocks ? "·" : ".").repeat(Math.max(0, barWidth - used)));
}

function block(
  { style, rows, labelWidth }: Layout,
  title: string,
  cell: (row: ReportRow, index: number) => { readonly value: string; readonly bar: string },
): string[] {
  const lines = rows.map((row, index) => {
    const { value, bar: drawn } = cell(row, index);
    return `  ${row.label.padEnd(labelWidth)}  ${value.padStart(VALUE_WIDTH)}  ${drawn}`.trimEnd();
  });
  return [paint(style, "bold", title), ...lines, ""];
}

function bar({ style, barWidth }: Layout, colour: Colour, value: number, max: number): string {
  const drawn = drawBar(style, value, max, barWidth);
  return drawn === "" ? "" : paint(style, colour, drawn);
}

/** `1,122 x backend 502`. */
function kindsOf(byKind: Readonly<Record<string, number>>): string[] {
  return Object.entries(byKind).map(
    ([kind, count]) => `${formatCount(count)} x ${kind.replace("_", " ")}`,
  );
}

function measurement({ rows, scenario }: DemoReport): string[] {
  const sent = rows[0]?.spike.sent ?? 0;
  const lag = Math.max(...rows.map((row) => row.generator.lagP99Ms));
  const lines = [
    `${formatCount(sent)} requests per row in the spike, the same ones for each (seed ${scenario.seed}); latency counts`,
    `from the time a request was due. The load generator's own lag: p99 ${formatMs(lag)}.`,
  ];
  if (rows.some((row) => row.guards === "defaults")) {
    lines.push(
      '"+ defaults" has health checks, ejection and retries as serve has them; the other rows have none.',
    );
  }
  return lines;
}

function nextSteps(): string[] {
  return [
    "Try next:",
    "  leastwise serve --backend http://127.0.0.1:3001 --backend http://127.0.0.1:3002",
    "  write a strategy, mine.ts, here one that also counts how slow a backend was last time:",
    '    export default { name: "mine", apiVersion: 1, create(env) {',
    "      const last = env.perBackend(() => ({ ms: 100 }));",
    "      return {",
    "        score: (backend) => (backend.inFlight + 1) * last(backend).ms,",
    "        onResponse: (attempt, head) => { last(attempt.backend).ms = head.firstByteMs; },",
    "      };",
    "    } };",
    "  and see how it does: leastwise demo --strategy least-connections --strategy ./mine.ts",
  ];
}

function seconds(ms: number | undefined): string {
  return `${(ms ?? 0) / 1000} s`;
}
