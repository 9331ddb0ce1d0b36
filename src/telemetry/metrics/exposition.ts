/** Metrics as a scrape wants them. */
import type { Exemplar } from "./exemplar.ts";
import { prometheusFamily, prometheusUnit, prometheusWord } from "./prometheus-name.ts";
import { countOf, type Labels, type Metric, type Point, type Snapshot } from "./snapshot.ts";

/** Whose metrics they are: the resource's attributes, and the scope that every series is labelled with. */
export interface Origin {
  readonly resource: Readonly<Record<string, string | number | boolean>>;
  readonly scope: { readonly name: string; readonly version: string };
}

export interface Exposition {
  readonly contentType: string;
  readonly body: string;
}

export const TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8";
export const OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/** What the format before OpenMetrics 1.0 does not have: units, exemplars, an end. */
export type Format = "text" | "openmetrics";

export function expose(snapshot: Snapshot, origin: Origin, format: Format): Exposition {
  const { scope } = origin;
  const scopeLabels: Labels = [
    ["otel_scope_name", scope.name],
    ["otel_scope_version", scope.version],
  ];
  const lines = targetInfo(origin, format);
  for (const metric of snapshot.metrics) lines.push(...family(metric, scopeLabels, format));
  if (format === "openmetrics") lines.push("# EOF");
  return {
    contentType: format === "openmetrics" ? OPENMETRICS_TYPE : TEXT_TYPE,
    body: `${lines.join("\n")}\n`,
  };
}

function targetInfo({ resource }: Origin, format: Format): string[] {
  const [name, type] = format === "openmetrics" ? ["target", "info"] : ["target_info", "gauge"];
  return [
    `# HELP ${name} What the metrics are of.`,
    `# TYPE ${name} ${type}`,
    `target_info${braced(merged(resource))} 1`,
  ];
}

/** Names that are one in Prometheus have one value: theirs in the order of the names (compatibility rules). */
function merged(resource: Origin["resource"]): Labels {
  const values = new Map(Object.keys(resource).map((key) => [prometheusWord(key), [] as string[]]));
  for (const key of Object.keys(resource).toSorted()) {
    values.get(prometheusWord(key))?.push(String(resource[key]));
  }
  return [...values].map(([name, all]) => [name, all.join(";")]);
}

function family(metric: Metric, scope: Labels, format: Format): string[] {
  const { instrument, points } = metric;
  const { kind, description } = instrument;
  const name = prometheusFamily(instrument);
  const sample = kind === "counter" ? `${name}_total` : name;
  const declared = format === "openmetrics" ? name : sample;
  const type = kind === "upDownCounter" ? "gauge" : kind;
  const lines = [
    `# HELP ${declared} ${escapeHelp(description, format)}`,
    `# TYPE ${declared} ${type}`,
  ];
  const unit = prometheusUnit(instrument);
  if (unit !== null && format === "openmetrics") lines.push(`# UNIT ${declared} ${unit}`);
  for (const point of points) {
    const labels = [...point.labels, ...scope];
    if (kind === "histogram") {
      lines.push(...histogram(name, instrument.bounds, point, labels, format));
    } else {
      lines.push(`${sample}${braced(labels)} ${number(point.values[0] ?? 0)}`);
    }
  }
  return lines;
}

function histogram(
  name: string,
  bounds: readonly number[],
  point: Point,
  labels: Labels,
  format: Format,
): string[] {
  const { values, exemplars } = point;
  let below = 0;
  const buckets = [...bounds, Number.POSITIVE_INFINITY].map((bound, bucket) => {
    below += values[bucket + 1] ?? 0;
    const le = format === "openmetrics" ? canonical(bound) : number(bound);
    const line = `${name}_bucket${braced([...labels, ["le", le]])} ${number(below)}`;
    const exemplar = exemplars[bucket] ?? null;
    return exemplar === null || format === "text" ? line : `${line}${exemplarOf(exemplar)}`;
  });
  return [
    ...buckets,
    `${name}_sum${braced(labels)} ${number(values[0] ?? 0)}`,
    `${name}_count${braced(labels)} ${number(countOf(point))}`,
  ];
}

function exemplarOf({ traceId, spanId, value, timeMs }: Exemplar): string {
  const labels = braced([
    ["trace_id", traceId],
    ["span_id", spanId],
  ]);
  return ` # ${labels} ${number(value)} ${number(timeMs / 1000)}`;
}

function braced(labels: Labels): string {
  const pairs = labels.map(([name, value]) => `${prometheusWord(name)}="${escapeLabel(value)}"`);
  return `{${pairs.join(",")}}`;
}

function escapeLabel(value: string | number): string {
  return String(value).replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

/** Only OpenMetrics escapes quotes here. */
function escapeHelp(text: string, format: Format): string {
  if (format === "openmetrics") return escapeLabel(text);
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function number(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}

/** OpenMetrics 1.0, "Canonical Numbers": a bound is the same text from everyone, `1.0` and not `1`. */
function canonical(bound: number): string {
  return Number.isInteger(bound) ? `${bound}.0` : number(bound);
}
