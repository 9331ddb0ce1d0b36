export interface Options {
  /** Names the prompt's prefixes, the shortest first. */
  readonly header: string;
  /** A backend has at most so many fair shares of the requests in flight … */
  readonly bound: number;
  /** … and so many requests more. */
  readonly slack: number;
  /** How many prefixes are remembered. */
  readonly remember: number;
}

/** Throws an Error that the user of the strategy reads beside the name of the file. */
export function parseOptions(raw: unknown = {}): Options {
  if (typeof raw !== "object" || raw === null) {
    throw new Error("expected options like { bound: 1.25, slack: 4 }");
  }
  const {
    header = "X-Prompt-Prefix",
    bound = 1.25,
    slack = 4,
    remember = 10_000,
    ...others
  } = raw as Record<string, unknown>;
  if (typeof header !== "string" || header === "") {
    throw new Error("header must be the name of a header");
  }
  if (typeof bound !== "number" || !(bound >= 1))
    throw new Error("bound must be a number from 1 on");
  if (typeof slack !== "number" || !(slack >= 0))
    throw new Error("slack must be a number from 0 on");
  if (typeof remember !== "number" || !(remember >= 1 && remember <= 1_000_000)) {
    throw new Error("remember must be a number from 1 to 1000000");
  }
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    throw new Error(`there is no option ${unknown}, only header, bound, slack and remember`);
  }
  return { header, bound, slack, remember };
}
