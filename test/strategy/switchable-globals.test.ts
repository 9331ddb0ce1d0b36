/** Clocks and randomness of the runtime that can be switched, wherever they were taken to. */
import { afterEach, beforeEach, expect, setSystemTime, spyOn, test } from "bun:test";
import { withSurroundings } from "../../src/strategy/altered-globals.ts";
import { makeSwitchable } from "../../src/strategy/switchable-globals.ts";

let undo: () => void;

beforeEach(() => {
  undo = makeSwitchable();
});

afterEach(() => {
  setSystemTime();
  undo();
});

/** As a file takes them at its top. */
function taken() {
  const Clock = Date;
  const { now } = Date;
  const { hrtime } = process;
  const { bigint } = hrtime;
  const { nanoseconds } = Bun;
  const { random } = Math;
  const performanceNow = performance.now.bind(performance);
  const uuid = crypto.randomUUID.bind(crypto);
  const bytes = crypto.getRandomValues.bind(crypto);
  return {
    "new Date()": () => new Clock().getTime(),
    "Date()": () => Clock(),
    "Date.now": now,
    "a date's constructor": () =>
      (new (new Date(0).constructor as DateConstructor)() as Date).getTime(),
    "process.hrtime": () => hrtime(),
    "process.hrtime.bigint": bigint,
    "Bun.nanoseconds": nanoseconds,
    "performance.now": performanceNow,
    "Math.random": random,
    "crypto.randomUUID": () => uuid(),
    "crypto.getRandomValues": () => [...bytes(new Uint8Array(16))],
  };
}

test.each(Object.entries(taken()).map(([name]) => name))("%s, taken before", (name) => {
  const look: () => unknown = taken()[name as keyof ReturnType<typeof taken>];
  const one = { stepMs: 3_661_007, seed: 1 };
  const [first, same, other] = [one, one, { stepMs: 2000, seed: 2 }].map((surroundings) =>
    withSurroundings(surroundings, look),
  );
  expect(same).toEqual(first);
  expect(other).not.toEqual(first);
});

test("until then they are the runtime's", () => {
  const { "Date.now": now, "process.hrtime": hrtime, "Date()": text } = taken();
  setSystemTime(new Date(1_000_000));
  expect([now(), Date.now(), new Date().getTime()]).toEqual([1_000_000, 1_000_000, 1_000_000]);
  expect(Date.parse(text())).toBe(1_000_000);
  expect(new Date(2020, 1, 2, 3).getDate()).toBe(2);
  expect(Date.UTC(1970, 0, 2)).toBe(86_400_000);
  expect(process.hrtime(hrtime())[0]).toBeLessThan(1000);
  expect(crypto.getRandomValues(new Uint8Array(4))).toHaveLength(4);
});

test("and are again, also when what ran threw", () => {
  const { "Date.now": now } = taken();
  setSystemTime(new Date(1_000_000));
  const failing = (): never => {
    throw new Error(String(now()));
  };
  expect(() => withSurroundings({ stepMs: 0, seed: 1 }, failing)).toThrow("1720000000000");
  expect(now()).toBe(1_000_000);
});

test("dates stay dates", () => {
  class Day extends Date {
    static known = 1;
    get isLate(): boolean {
      return this.getTime() > 5;
    }
  }
  Day.known = 2;
  expect(new Date(7)).toBeInstanceOf(Date);
  expect(new Date(7).constructor).toBe(Date);
  expect(structuredClone(new Date(7))).toEqual(new Date(7));
  expect(new Day(7)).toBeInstanceOf(Day);
  expect(new Day(7)).toBeDate();
  expect([new Day(7).isLate, Object.hasOwn(Date, "known")]).toEqual([true, false]);
});

// On a Proxy it did nothing.
test("a test may spy on them", () => {
  using clock = spyOn(Date, "now").mockReturnValue(5);
  using chance = spyOn(Math, "random").mockReturnValue(0.25);
  expect([Date.now(), Math.random()]).toEqual([5, 0.25]);
  expect([clock, chance].map(({ mock }) => mock.calls.length)).toEqual([1, 1]);
});

test("asked for twice there is nothing to do, or to undo", () => {
  const before = all();
  makeSwitchable()();
  expectSame(all(), before);
});

test("undone, everything is in its place again", () => {
  const switchable = all();
  undo();
  const before = all();
  expect(before.some((found) => switchable.includes(found))).toBeFalse();
  makeSwitchable()();
  expectSame(all(), before);
  expect(withSurroundings({ stepMs: 0, seed: 1 }, Date.now)).toBeGreaterThan(1.73e12);
  expect(withSurroundings({ stepMs: 0, seed: 1 }, () => Date.now())).toBe(1_720_000_000_000);
  expectSame(all(), before);
});

function all(): readonly unknown[] {
  return [
    Date,
    Date.now,
    Date.prototype.constructor,
    Math.random,
    performance.now,
    process.hrtime,
    process.hrtime.bigint,
    Bun.nanoseconds,
    crypto.randomUUID,
    crypto.getRandomValues,
  ];
}

/** `toEqual` takes two functions for equal when they look so. */
function expectSame(found: readonly unknown[], expected: readonly unknown[]): void {
  expect(found.map((each, index) => each === expected[index])).toEqual(found.map(() => true));
}
