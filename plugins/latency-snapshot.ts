/** What is known of one backend, without any clock's reading: the next instance may have another clock. */
export interface KnownLatency {
  readonly id: string;
  /** The same id with another URL is another server. */
  readonly url: string;
  /** The estimate at the time of the snapshot. */
  readonly ms: number;
  /** The same from answers alone, without failures; null before the first answer. */
  readonly answeredMs: number | null;
  /** The estimate until it answers again; null when the last thing that the backend did was not to fail. */
  readonly failingMs: number | null;
  /** How long ago the backend was last heard of. */
  readonly heardMs: number;
  /** For how much longer it asked to be left alone; 0 when it did not. */
  readonly heldMs: number;
}

/** Plain data that survives JSON. */
export interface LatencySnapshot {
  readonly version: 1;
  readonly backends: readonly KnownLatency[];
}

/** By id. Whatever an older version left that is not understood counts as nothing. */
export function readLatencySnapshot(previous: unknown): ReadonlyMap<string, KnownLatency> {
  const { version, backends } = asTable(previous);
  if (version !== 1 || !Array.isArray(backends)) return new Map();
  const known = backends.map(readKnownLatency).filter((each) => each !== null);
  return new Map(known.map((each) => [each.id, each]));
}

function readKnownLatency(value: unknown): KnownLatency | null {
  // Snapshots of before those two were kept do not tell an answer from a failure.
  const { id, url, ms, answeredMs = null, failingMs = null, heardMs, heldMs } = asTable(value);
  if (typeof id !== "string" || typeof url !== "string") return null;
  if (!isTime(ms) || !isTime(heardMs) || !isTime(heldMs)) return null;
  if (answeredMs !== null && !isTime(answeredMs)) return null;
  if (failingMs !== null && !isTime(failingMs)) return null;
  return { id, url, ms, answeredMs, failingMs, heardMs, heldMs };
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

function asTable(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
