/** Answers in the place of a function of the runtime's. */
export type Answer = (...values: readonly unknown[]) => unknown;

/** Clocks and randomness that a strategy can take without asking its env. */
export type Source =
  | "Date"
  | "Date.now"
  | "performance.now"
  | "process.hrtime"
  | "process.hrtime.bigint"
  | "Bun.nanoseconds"
  | "Math.random"
  | "crypto.randomUUID"
  | "crypto.getRandomValues";

type Callable = (...values: readonly unknown[]) => unknown;

/** Set to an `Answer`, or to null, on a function that can be switched. */
const ANSWER = Symbol("answer");

/**
 * Puts functions that can be switched in the place of the runtime's own, and do the same until they are switched:
 * what a file takes at its top (`const { now } = Date`) can be switched only when they were there before it was loaded.
 * Returns what undoes it.
 */
export function makeSwitchable(): () => void {
  const undo: (() => void)[] = [];
  for (const [source, owner, name] of places()) {
    const real = functionAt(owner, name);
    if (real === null || ANSWER in real) continue;
    const stand = switchable(real, source === "Date" ? asText : asIs);
    undo.push(replace(owner, name, stand));
    // Or a date's own constructor would be none that anybody knows.
    if (source === "Date") undo.push(replace(Date.prototype, "constructor", stand));
  }
  return () => {
    for (const each of undo.toReversed()) each();
  };
}

/** From now on these answer, wherever the functions have been taken to. Returns what lets the runtime's answer again. */
export function switchGlobals(answers: Readonly<Record<Source, Answer>>): () => void {
  const switched = places().flatMap(([source, owner, name]) => {
    const found = functionAt(owner, name);
    if (found === null || !(ANSWER in found)) return [];
    Reflect.set(found, ANSWER, answers[source]);
    return [found];
  });
  return () => {
    for (const each of switched) Reflect.set(each, ANSWER, null);
  };
}

function places(): readonly (readonly [source: Source, owner: unknown, name: string])[] {
  // Not every runtime that strategies are tested in has it.
  const process: unknown = Reflect.get(globalThis, "process");
  // What belongs to a function comes first: it goes along to what stands in its place.
  return [
    ["Date.now", Date, "now"],
    ["Date", globalThis, "Date"],
    ["performance.now", performance, "now"],
    ["process.hrtime.bigint", functionAt(process, "hrtime"), "bigint"],
    ["process.hrtime", process, "hrtime"],
    ["Bun.nanoseconds", Reflect.get(globalThis, "Bun"), "nanoseconds"],
    ["Math.random", Math, "random"],
    ["crypto.randomUUID", crypto, "randomUUID"],
    ["crypto.getRandomValues", crypto, "getRandomValues"],
  ];
}

function functionAt(owner: unknown, name: string): Callable | null {
  if ((typeof owner !== "object" && typeof owner !== "function") || owner === null) return null;
  const found: unknown = Reflect.get(owner, name);
  return typeof found === "function" ? (found as Callable) : null;
}

/**
 * `asCalled`: what a call makes of an answer; `new` takes it in the place of no argument. A function, and no Proxy, on
 * which bun:test's `spyOn(Date, "now")` would do nothing.
 */
function switchable(real: Callable, asCalled: (answer: unknown) => unknown): Callable {
  let answer: Answer | null = null;
  function stand(this: unknown, ...values: unknown[]): unknown {
    if (new.target === undefined) {
      return answer === null ? Reflect.apply(real, this, values) : asCalled(answer(...values));
    }
    const given = answer === null || values.length > 0 ? values : [answer()];
    return Reflect.construct(real, given, new.target);
  }
  Object.defineProperties(stand, Object.getOwnPropertyDescriptors(real));
  Object.defineProperty(stand, ANSWER, {
    set(value: Answer | null) {
      answer = value;
    },
  });
  return stand;
}

function asIs(answer: unknown): unknown {
  return answer;
}

/** `Date()` without `new`. */
function asText(answer: unknown): unknown {
  return new Date(answer as number).toString();
}

/** As an own property, whatever it was before. Returns what undoes it. */
function replace(owner: unknown, name: string, value: unknown): () => void {
  const holder = owner as object;
  const own = Object.getOwnPropertyDescriptor(holder, name);
  // Bun's own can be written, but not be made configurable.
  const { configurable = true, enumerable = false } = own ?? {};
  Object.defineProperty(holder, name, { value, configurable, enumerable, writable: true });
  return () => {
    if (own === undefined) Reflect.deleteProperty(holder, name);
    else Object.defineProperty(holder, name, own);
  };
}
