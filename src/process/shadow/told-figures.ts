import type {
  PickTimesFigures,
  Projected,
  ShadowBackend,
  ShadowFigures,
} from "../../strategy/shadow/figures.ts";
import { PICK_BOUNDS } from "../../telemetry/metrics/instruments.ts";

/**
 * What a shadow's process tells, or null when it is none of that. The strategy runs there as well and can tell
 * anything: nothing is taken over but what we know, and no more of it than there are backends in the pool.
 */
export function readFigures(
  value: unknown,
  pool: readonly { readonly id: string }[],
): ShadowFigures | null {
  if (!isRecord(value)) return null;
  const { picks, agreed, agreement, refused, fallbacks, faults, dropped } = value;
  if (![picks, agreed, refused, fallbacks, faults, dropped].every(isCount)) return null;
  if (!isShare(agreement)) return null;
  const pickMs = value["pickMs"] === null ? null : readPickTimes(value["pickMs"]);
  const backends = readBackends(value["backends"], pool);
  if (backends === null || (pickMs === null && value["pickMs"] !== null)) return null;
  const counts = { picks, agreed, agreement, refused, fallbacks, faults, dropped };
  return { ...(counts as Omit<ShadowFigures, "pickMs" | "backends">), pickMs, backends };
}

function readPickTimes(value: unknown): PickTimesFigures | null {
  if (!isRecord(value)) return null;
  const { sum, p50, p99, buckets } = value;
  if (![sum, p50, p99].every(isAmount) || !Array.isArray(buckets)) return null;
  if (buckets.length !== PICK_BOUNDS.length + 1 || !buckets.every(isCount)) return null;
  return { sum, p50, p99, buckets } as PickTimesFigures;
}

/** In the order of the pool, which may have become another one since they were counted. */
function readBackends(
  value: unknown,
  pool: readonly { readonly id: string }[],
): ShadowBackend[] | null {
  if (!Array.isArray(value)) return null;
  const told = new Map<string, ShadowBackend>();
  for (const each of value as readonly unknown[]) {
    const backend = readBackend(each);
    if (backend === null) return null;
    if (!told.has(backend.id)) told.set(backend.id, backend);
  }
  return pool.flatMap(({ id }) => told.get(id) ?? []);
}

function readBackend(value: unknown): ShadowBackend | null {
  if (!isRecord(value) || typeof value["id"] !== "string") return null;
  const [shadow, acting] = [readSide(value["shadow"]), readSide(value["acting"])];
  return shadow === null || acting === null ? null : { id: value["id"], shadow, acting };
}

function readSide(value: unknown): Projected | null {
  if (!isRecord(value) || !isRecord(value["inFlight"])) return null;
  const { requests, share, inFlight } = value;
  const { now, mean, max } = inFlight as Fields;
  if (!isCount(requests) || !isShare(share)) return null;
  if (!isCount(now) || !isAmount(mean) || !isCount(max)) return null;
  return { requests, share, inFlight: { now, mean, max } };
}

function isShare(value: unknown): value is number | null {
  return value === null || (isAmount(value) && value <= 1);
}

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isAmount(value: unknown): value is number {
  return Number.isFinite(value) && (value as number) >= 0;
}

type Fields = Readonly<Record<string, unknown>>;

export function isRecord(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}
