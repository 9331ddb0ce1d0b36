export interface Options {
  /** Requests with this header go to canaries. */
  readonly header: string;
  /** What the header must say; null: anything. */
  readonly value: string | null;
  /** Refuse a request (503) rather than send it to the other kind. */
  readonly strict: boolean;
}

/** Throws an Error that the user of the strategy reads beside the name of the file. */
export function parseOptions(raw: unknown): Options {
  if (typeof raw !== "object" || raw === null) {
    throw new Error('expected options like { header: "X-Canary" }');
  }
  const { header, value = null, strict = false, ...others } = raw as Record<string, unknown>;
  if (typeof header !== "string" || header === "") {
    throw new Error("header must be the name of a header");
  }
  if (value !== null && typeof value !== "string") throw new Error("value must be text");
  if (typeof strict !== "boolean") throw new Error("strict must be true or false");
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    throw new Error(`there is no option ${unknown}, only header, value and strict`);
  }
  return { header, value, strict };
}
