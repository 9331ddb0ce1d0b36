import type { ExplainedPick } from "../admin/explanation.ts";
import { RuntimeError } from "../errors.ts";
import type { Replayed } from "./explain-job.ts";

/**
 * What a child says about a pick. User code ran in that process, and can say anything in its name.
 *
 * Throws RuntimeError when it is no such thing.
 */
export function readExplained(value: unknown, subject: string): ExplainedPick {
  if (!isExplained(value)) throw nonsense(subject);
  return value as unknown as ExplainedPick;
}

/** The same for what it picks again. */
export function readReplayed(value: unknown, subject: string): Replayed {
  const isOne =
    isRecord(value) &&
    isListOf(value["picks"], isTextOrNull) &&
    isTextOrNull(value["loss"]) &&
    isTextOrNull(value["fault"]);
  if (!isOne) throw nonsense(subject);
  return value as unknown as Replayed;
}

type Fields = Readonly<Record<string, unknown>>;

function isExplained(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { strategy, candidates, excluded, shares, otherWorkers } = value;
  return (
    isRecord(strategy) &&
    ["name", "version", "source"].every((name) => typeof strategy[name] === "string") &&
    ["why", "decidedBy", "state"].every((name) => typeof value[name] === "string") &&
    ["chosen", "nobody", "fault"].every((name) => isTextOrNull(value[name])) &&
    ["tie", "failOpen"].every((name) => typeof value[name] === "boolean") &&
    isListOf(candidates, (each) => isBackend(each) && isScore(each["score"])) &&
    isListOf(excluded, (each) => isBackend(each) && typeof each["reason"] === "string") &&
    (shares === null || (isRecord(shares) && Object.values(shares).every(Number.isFinite))) &&
    isListOf(otherWorkers, (each) => {
      return isRecord(each) && Number.isFinite(each["worker"]) && isTextOrNull(each["chosen"]);
    })
  );
}

function isBackend(value: unknown): value is Fields {
  if (!isRecord(value)) return false;
  const { id, inFlight, weight } = value;
  return typeof id === "string" && Number.isFinite(inFlight) && Number.isFinite(weight);
}

function isScore(value: unknown): boolean {
  return value === null || value === "Infinity" || typeof value === "number";
}

function isListOf(value: unknown, isOne: (each: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isOne);
}

function isTextOrNull(value: unknown): boolean {
  return value === null || typeof value === "string";
}

function isRecord(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}

function nonsense(subject: string): RuntimeError {
  return new RuntimeError(`${subject}: what its process answers is not from leastwise`);
}
