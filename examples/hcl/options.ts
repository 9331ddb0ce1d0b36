export interface Options {
  /** The part of the backends that counts as cold, from 0 (the least busy ones) to 1 (all). */
  readonly quantile: number;
  /** How many backends a pick looks at. */
  readonly sample: number;
}

/** Throws an Error that the user of the strategy reads beside the name of the file. */
export function parseOptions(raw: unknown = {}): Options {
  if (typeof raw !== "object" || raw === null) {
    throw new Error("expected options like { quantile: 0.84, sample: 16 }");
  }
  const { quantile = 0.84, sample = 16, ...others } = raw as Record<string, unknown>;
  if (typeof quantile !== "number" || !(quantile >= 0 && quantile <= 1)) {
    throw new Error("quantile must be a number from 0 to 1");
  }
  if (typeof sample !== "number" || !Number.isInteger(sample) || sample < 2) {
    throw new Error("sample must be a whole number from 2 on");
  }
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    throw new Error(`there is no option ${unknown}, only quantile and sample`);
  }
  return { quantile, sample };
}
