/** What a master asks a worker about what only that worker knows. */
import type { DecisionQuery, RecordedDecision } from "../admin/recorded-decision.ts";

export type Question =
  | { readonly about: "decisions"; readonly query: DecisionQuery }
  /** A pool's strategy instance, as a new one would find it in `env.previous`. */
  | { readonly about: "instance"; readonly pool: string };

export type Answer =
  | { readonly about: "decisions"; readonly decisions: readonly RecordedDecision[] }
  | { readonly about: "instance"; readonly instance: InstanceSnapshot | null };

export interface InstanceSnapshot {
  readonly name: string;
  readonly quarantined: boolean;
  /** Of the worker's clock, which no other process has. */
  readonly nowMs: number;
  /** What `snapshot()` returned, as bytes that only a child reads; null when it has none, or too much. */
  readonly bytes: Uint8Array | null;
  /** Bytes that were too many to be sent; 0 when they were not. */
  readonly tooLarge: number;
}

/** Strategy code runs in the same process and can send anything. */
export function isAnswer(value: unknown): value is Answer {
  if (!isRecord(value)) return false;
  const { about, decisions, instance } = value;
  if (about === "decisions") return Array.isArray(decisions) && decisions.every(isDecision);
  return about === "instance" && (instance === null || isInstance(instance));
}

function isInstance(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { name, quarantined, nowMs, bytes, tooLarge } = value;
  return (
    typeof name === "string" &&
    typeof quarantined === "boolean" &&
    Number.isFinite(nowMs) &&
    (bytes === null || bytes instanceof Uint8Array) &&
    Number.isSafeInteger(tooLarge)
  );
}

function isDecision(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { strategy, request, candidates, excluded } = value;
  return (
    hasTexts(value, ["at", "pool", "decidedBy"]) &&
    isOptional(value["chosen"], "string") &&
    isOptional(value["traceId"], "string") &&
    ["worker", "attempt", "pickMs", "leftOut"].every((name) => Number.isFinite(value[name])) &&
    ["fallback", "tie", "failOpen"].every((name) => typeof value[name] === "boolean") &&
    isRecord(strategy) &&
    hasTexts(strategy, ["name", "version"]) &&
    isRequest(request) &&
    isListOf(candidates, isCandidate) &&
    isListOf(excluded, (each) => hasTexts(each, ["id", "reason"]))
  );
}

function isCandidate(value: Fields): boolean {
  const { score, labels } = value;
  return (
    hasTexts(value, ["id", "url"]) &&
    Number.isFinite(value["inFlight"]) &&
    Number.isFinite(value["weight"]) &&
    isRecord(labels) &&
    Object.values(labels).every((label) => typeof label === "string") &&
    (score === "Infinity" || isOptional(score, "number"))
  );
}

function isRequest(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { headers, withheld } = value;
  return (
    hasTexts(value, ["method", "host", "path", "query", "clientAddress"]) &&
    isRecord(headers) &&
    Object.values(headers).every((field) => isOptional(field, "string")) &&
    Array.isArray(withheld) &&
    withheld.every((name) => typeof name === "string")
  );
}

type Fields = Readonly<Record<string, unknown>>;

function isRecord(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}

function isListOf(value: unknown, isOne: (each: Fields) => boolean): boolean {
  return Array.isArray(value) && value.every((each) => isRecord(each) && isOne(each));
}

function hasTexts(value: Fields, names: readonly string[]): boolean {
  return names.every((name) => typeof value[name] === "string");
}

function isOptional(value: unknown, type: "string" | "number"): boolean {
  return value === null || typeof value === type;
}
