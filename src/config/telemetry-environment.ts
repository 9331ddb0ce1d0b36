/**
 * The `OTEL_*` variables as a `telemetry` section: they are laid over the file's, and one schema
 * checks both. An empty variable counts as not set (OpenTelemetry specification, "Environment variables").
 */
import { resolve as resolvePath } from "node:path";
import type { Problem } from "../errors.ts";
import { formatPath, show } from "./problem.ts";
import { headerName } from "./value.ts";

export interface TelemetryOverlay {
  /** The configuration with its `telemetry` section; the same object when nothing is laid over it. */
  readonly raw: unknown;
  /** By config path: the variable that put the value there. */
  readonly origins: ReadonlyMap<string, string>;
  readonly problems: readonly Problem[];
}

type Environment = Readonly<Record<string, string | undefined>>;
type Fields = Readonly<Record<string, unknown>>;
type Path = readonly string[];

/** What a variable's text means in the section; `Mistake` when it means nothing. */
type Read = (text: string, cwd: string) => unknown;

class Mistake {
  readonly allowed: string;

  constructor(allowed: string) {
    this.allowed = allowed;
  }
}

const asIs: Read = (text) => text;
const lower: Read = (text) => text.toLowerCase();
/** What is no decimal number is left to the schema, which says what is allowed. */
const number: Read = (text) =>
  /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : text;
const milliseconds: Read = (text) =>
  /^\d+$/.test(text) ? `${text}ms` : new Mistake("a whole number of milliseconds");
const list: Read = (text) => items(text);
const file: Read = (text, cwd) => resolvePath(cwd, text);

type Variable = readonly [name: string, path: Path, read: Read];

/** What /metrics says, too, which is always served. */
const OF_EVERYTHING: readonly Variable[] = [
  ["OTEL_SERVICE_NAME", ["serviceName"], asIs],
  ["OTEL_RESOURCE_ATTRIBUTES", ["resourceAttributes"], keyValues],
  ["OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", ["knownMethods"], list],
];

const VARIABLES: readonly Variable[] = [
  ...OF_EVERYTHING,
  ["OTEL_PROPAGATORS", ["propagators"], list],
  ["OTEL_LOG_LEVEL", ["logLevel"], lower],
  ["OTEL_TRACES_EXPORTER", ["traces", "exporter"], asIs],
  ["OTEL_TRACES_SAMPLER", ["traces", "sampler"], asIs],
  ["OTEL_TRACES_SAMPLER_ARG", ["traces", "ratio"], number],
  ["OTEL_BSP_SCHEDULE_DELAY", ["traces", "batch", "delay"], milliseconds],
  ["OTEL_BSP_EXPORT_TIMEOUT", ["traces", "batch", "timeout"], milliseconds],
  ["OTEL_BSP_MAX_QUEUE_SIZE", ["traces", "batch", "maxQueue"], number],
  ["OTEL_BSP_MAX_EXPORT_BATCH_SIZE", ["traces", "batch", "maxBatch"], number],
  // Where two name one limit, the later wins: the one for spans.
  ["OTEL_ATTRIBUTE_COUNT_LIMIT", ["traces", "limits", "attributes"], number],
  ["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", ["traces", "limits", "attributes"], number],
  ["OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", ["traces", "limits", "attributeLength"], number],
  ["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", ["traces", "limits", "attributeLength"], number],
  ["OTEL_SPAN_EVENT_COUNT_LIMIT", ["traces", "limits", "events"], number],
  ["OTEL_SPAN_LINK_COUNT_LIMIT", ["traces", "limits", "links"], number],
  ["OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", ["traces", "limits", "eventAttributes"], number],
  ["OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", ["traces", "limits", "linkAttributes"], number],
  ["OTEL_METRICS_EXPORTER", ["metrics", "exporter"], metricsExporter],
  ["OTEL_METRIC_EXPORT_INTERVAL", ["metrics", "interval"], milliseconds],
  ["OTEL_METRIC_EXPORT_TIMEOUT", ["metrics", "timeout"], milliseconds],
  ...otlpVariables("OTEL_EXPORTER_OTLP_", ["otlp"]),
  ...otlpVariables("OTEL_EXPORTER_OTLP_TRACES_", ["traces", "otlp"]),
  ...otlpVariables("OTEL_EXPORTER_OTLP_METRICS_", ["metrics", "otlp"]),
];

function otlpVariables(prefix: string, path: Path): [string, Path, Read][] {
  return [
    [`${prefix}ENDPOINT`, [...path, "endpoint"], asIs],
    [`${prefix}PROTOCOL`, [...path, "protocol"], asIs],
    [`${prefix}HEADERS`, [...path, "headers"], headers],
    [`${prefix}TIMEOUT`, [...path, "timeout"], milliseconds],
    [`${prefix}COMPRESSION`, [...path, "compression"], asIs],
    [`${prefix}CERTIFICATE`, [...path, "certificate"], file],
    [`${prefix}CLIENT_KEY`, [...path, "clientKey"], file],
    [`${prefix}CLIENT_CERTIFICATE`, [...path, "clientCertificate"], file],
  ];
}

/**
 * Each key by itself: a variable wins over the file's value of that key, and over single entries of
 * headers and resource attributes. While no exporter and no endpoint is named anywhere, those that are
 * about exports are left alone: they may be meant for other programs.
 */
export function overlayTelemetry(raw: unknown, env: Environment, cwd: string): TelemetryOverlay {
  const section = isRecord(raw) ? (raw["telemetry"] ?? {}) : null;
  if (!isRecord(raw) || !isRecord(section)) return { raw, origins: new Map(), problems: [] };
  const disabled = setting(env, "OTEL_SDK_DISABLED")?.toLowerCase() ?? null;
  const said = disabled === null ? section : { ...section, disabled: disabled === "true" };
  let laid = layOver(said, VARIABLES, env, cwd);
  if (disabled === "true" || !isNamed(laid.telemetry)) {
    const own = disabled === "true" ? said : section;
    laid = layOver(own, OF_EVERYTHING, env, cwd);
    if (laid.telemetry === section) return { raw, origins: laid.origins, problems: laid.problems };
  } else {
    laid.problems.push(...prometheusProblems(env));
  }
  const { telemetry, origins, problems } = laid;
  return { raw: { ...raw, telemetry }, origins, problems };
}

interface Laid {
  readonly telemetry: Fields;
  readonly origins: Map<string, string>;
  readonly problems: Problem[];
}

function layOver(
  section: Fields,
  variables: readonly Variable[],
  env: Environment,
  cwd: string,
): Laid {
  const origins = new Map<string, string>();
  const problems: Problem[] = [];
  let telemetry = section;
  for (const [name, path, read] of variables) {
    const text = setting(env, name);
    if (text === null || (name === "OTEL_TRACES_SAMPLER_ARG" && !takesRatio(telemetry))) continue;
    const value = read(text, cwd);
    if (value instanceof Mistake) {
      // Headers are mostly credentials.
      const found = read === headers ? "a text" : show(text);
      problems.push({ path: name, message: `found ${found}, allowed ${value.allowed}` });
      continue;
    }
    telemetry = put(telemetry, path, value);
    const keys = isRecord(value) ? Object.keys(value).map((key) => [...path, key]) : [path];
    for (const each of keys) origins.set(formatPath(["telemetry", ...each]), name);
  }
  const service = origins.get("telemetry.serviceName");
  const attribute = at(telemetry, ["resourceAttributes", "service.name"]);
  if (service === undefined && origins.has('telemetry.resourceAttributes["service.name"]')) {
    telemetry = { ...telemetry, serviceName: attribute };
  }
  return { telemetry, origins, problems };
}

/** Whether an exporter or an endpoint is named, well or badly. */
function isNamed(telemetry: Fields): boolean {
  const exporters = [
    ["traces", "exporter"],
    ["metrics", "exporter"],
  ] as const;
  const endpoints = [
    ["otlp", "endpoint"],
    ["traces", "otlp", "endpoint"],
    ["metrics", "otlp", "endpoint"],
  ] as const;
  return (
    exporters.some((path) => ![undefined, "none"].includes(at(telemetry, path) as undefined)) ||
    endpoints.some((path) => at(telemetry, path) !== undefined)
  );
}

/** The argument belongs to the sampler that is named (specification, "General SDK Configuration"). */
function takesRatio(telemetry: Fields): boolean {
  const sampler = at(telemetry, ["traces", "sampler"]);
  if (typeof sampler === "string") return sampler.endsWith("traceidratio");
  return at(telemetry, ["traces", "ratio"]) !== undefined;
}

/** `otlp,prometheus` is `otlp`: the page for Prometheus is there in any case. */
function metricsExporter(text: string): string {
  const names = items(text).filter((name) => name !== "prometheus");
  return names.length === 0 ? "prometheus" : names.join(",");
}

function prometheusProblems(env: Environment): Problem[] {
  if (!items(setting(env, "OTEL_METRICS_EXPORTER") ?? "").includes("prometheus")) return [];
  return ["OTEL_EXPORTER_PROMETHEUS_HOST", "OTEL_EXPORTER_PROMETHEUS_PORT"].flatMap((path) => {
    const found = setting(env, path);
    if (found === null) return [];
    const message = `found ${show(found)}, but /metrics is on the admin address: set --admin or admin.address instead`;
    return [{ path, message }];
  });
}

const PAIRS = "key=value, more of them after commas";

/** `key=value,key=value`, percent-encoded where need be (W3C Baggage, without properties). */
function keyValues(text: string): Record<string, string> | Mistake {
  const entries: [string, string][] = [];
  for (const item of items(text)) {
    const match = /^([^=]+)=(.*)$/.exec(item);
    if (match === null) return new Mistake(PAIRS);
    const [, key = "", value = ""] = match;
    entries.push([decoded(key.trim()), decoded(value.trim())]);
  }
  return Object.fromEntries(entries);
}

/**
 * The same. Who forgot the name has a credential in its place, which must not be shown as the name
 * that it is not.
 */
function headers(text: string): Record<string, string> | Mistake {
  const pairs = keyValues(text);
  const areNames = !(pairs instanceof Mistake) && Object.keys(pairs).every(isHeaderName);
  return areNames ? pairs : new Mistake(PAIRS);
}

function isHeaderName(text: string): boolean {
  return headerName.safeParse(text).success;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function items(text: string): string[] {
  return text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

function setting(env: Environment, name: string): string | null {
  return env[name]?.trim() || null;
}

function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((found, key) => (isRecord(found) ? found[key] : undefined), value);
}

/** A copy with the value in its place; entries are laid over those that are there. */
function put(target: Fields, [key = "", ...rest]: Path, value: unknown): Fields {
  const there = target[key];
  // A mistake of the file's: the schema is to see it.
  if (rest.length > 0 && there !== undefined && !isRecord(there)) return target;
  const fields = isRecord(there) ? there : {};
  if (rest.length > 0) return { ...target, [key]: put(fields, rest, value) };
  return { ...target, [key]: isRecord(value) ? { ...fields, ...value } : value };
}

function isRecord(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
