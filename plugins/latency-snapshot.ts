/** What is known of one backend, without any clock's reading: the next instance may have another clock. */
export interface KnownLatency {
  readonly id: string;
  /** The same id with another URL is another server. */
  readonly url: string;
  /** The estimate at the time of the snapshot. */
  readonly ms: number;
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
  return new Map(backends.filter(isKnownLatency).map((known) => [known.id, known]));
}

function isKnownLatency(value: unknown): value is KnownLatency {
  const { id, url, ms, heardMs, heldMs } = asTable(value);
  const texts = typeof id === "string" && typeof url === "string";
  return texts && [ms, heardMs, heldMs].every((each) => Number.isFinite(each) && Number(each) >= 0);
}

function asTable(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
