export interface Options {
  /** The zone that this balancer runs in. */
  readonly zone: string;
  /** Requests in flight per unit of weight above which other zones help. */
  readonly full: number;
}

/** Throws an Error that the user of the strategy reads beside the name of the file. */
export function parseOptions(raw: unknown): Options {
  if (typeof raw !== "object" || raw === null) {
    throw new Error('expected options like { zone: "a" }');
  }
  const { zone, full = 100, ...others } = raw as Record<string, unknown>;
  if (typeof zone !== "string" || zone === "") throw new Error("zone must be the name of a zone");
  if (typeof full !== "number" || !(full > 0)) throw new Error("full must be a number above 0");
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new Error(`there is no option ${unknown}, only zone and full`);
  return { zone, full };
}
