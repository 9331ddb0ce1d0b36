export interface NumberRange {
  readonly fallback: number;
  readonly min: number;
  readonly max: number;
}

/** Of a duration, in milliseconds; `fallback` as a user would write it. */
export interface DurationRange {
  readonly fallback: string;
  readonly minMs: number;
}

const MS_PER: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
/** A day: whoever asks for more has slipped. */
const MAX_DURATION_MS = 24 * 3_600_000;

/**
 * Reads a strategy's options one by one and remembers what is wrong, so that a user is told all of it
 * at once. Options that are left out have their defaults.
 */
export class OptionReader {
  readonly #raw: Readonly<Record<string, unknown>>;
  readonly #problems: string[] = [];

  /** `names` are all that there are; others are mistakes, which are better found than passed over. */
  constructor(raw: unknown, names: readonly string[]) {
    const isTable = typeof raw === "object" && raw !== null && !Array.isArray(raw);
    if (raw !== undefined && !isTable) {
      this.#problems.push(`found ${show(raw)}, allowed an object with ${names.join(", ")}`);
    }
    this.#raw = isTable ? (raw as Record<string, unknown>) : {};
    for (const name of Object.keys(this.#raw)) {
      if (!names.includes(name)) this.reject(name, `no such option, allowed ${names.join(", ")}`);
    }
  }

  /** As it was given, undefined when it was not. */
  value(name: string): unknown {
    return this.#raw[name];
  }

  reject(name: string, problem: string): void {
    this.#problems.push(`${name}: ${problem}`);
  }

  /** The same, for a value that is something else than what is `allowed`. */
  rejectValue(name: string, allowed: string): void {
    this.reject(name, `found ${show(this.#raw[name])}, allowed ${allowed}`);
  }

  wholeNumber(name: string, { fallback, min, max }: NumberRange): number {
    const { [name]: value = fallback } = this.#raw;
    if (Number.isInteger(value) && isWithin(value as number, min, max)) return value as number;
    this.rejectValue(name, `a whole number from ${min} to ${max}`);
    return fallback;
  }

  number(name: string, { fallback, min, max }: NumberRange): number {
    const { [name]: value = fallback } = this.#raw;
    if (typeof value === "number" && isWithin(value, min, max)) return value;
    this.rejectValue(name, `a number from ${min} to ${max}`);
    return fallback;
  }

  /** Milliseconds of a text such as "250ms", "10s", "1m" or "1h". */
  durationMs(name: string, { fallback, minMs }: DurationRange): number {
    const { [name]: value = fallback } = this.#raw;
    const ms = parseDuration(value);
    if (ms !== null && isWithin(ms, minMs, MAX_DURATION_MS)) return ms;
    this.rejectValue(
      name,
      `a duration such as ${JSON.stringify(fallback)}, from ${minMs}ms to 24h, in ms, s, m or h`,
    );
    return parseDuration(fallback) ?? 0;
  }

  choice<T extends string>(name: string, allowed: readonly [T, ...T[]]): T {
    const { [name]: value = allowed[0] } = this.#raw;
    const found = allowed.find((one) => one === value);
    if (found !== undefined) return found;
    this.rejectValue(name, allowed.map((one) => JSON.stringify(one)).join(" or "));
    return allowed[0];
  }

  /** The options if nothing was wrong; throws an Error that says everything that was. */
  finish<T>(options: T): T {
    if (this.#problems.length > 0) throw new Error(this.#problems.join("; "));
    return options;
  }
}

/** A value from a config in a few characters. */
function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function parseDuration(value: unknown): number | null {
  const found = typeof value === "string" ? /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(value) : null;
  if (found === null) return null;
  const [, amount = "", unit = ""] = found;
  return Number(amount) * (MS_PER[unit] ?? Number.NaN);
}

function isWithin(value: number, min: number, max: number): boolean {
  return value >= min && value <= max;
}
