import { beforeEach, describe, expect, test } from "bun:test";
import { DescriptorPressure } from "../../src/process/descriptor-pressure.ts";
import { RecordedLog } from "../_support/recorded-log.ts";

let open: number;
let idleBackends: number;
let looks: number;
let closedClients: number;
let now: number;
let unreadable: boolean;
let log: RecordedLog;

beforeEach(() => {
  open = 100;
  idleBackends = 0;
  looks = 0;
  closedClients = 0;
  now = 5000;
  unreadable = false;
  log = new RecordedLog();
});

function pressure(limit: number | null = 1000): DescriptorPressure {
  return new DescriptorPressure({
    descriptors: {
      limit,
      count() {
        looks++;
        if (unreadable) throw new Error("EMFILE");
        return open;
      },
      list: () => [],
    },
    worker: 1,
    closeIdleBackends() {
      open -= idleBackends;
      idleBackends = 0;
    },
    closeIdleClients: () => closedClients++,
    now: () => now,
    log,
  });
}

function at(count: number, watched: DescriptorPressure): [shedding: boolean, refusing: boolean] {
  open = count;
  now += 100;
  watched.tick();
  return [watched.shedding, watched.refusing];
}

describe("load", () => {
  test("is shed from 90 % of the limit, and refused from 95 %", () => {
    const watched = pressure();
    expect(at(899, watched)).toEqual([false, false]);
    expect(at(900, watched)).toEqual([true, false]);
    expect(at(949, watched)).toEqual([true, false]);
    expect(at(950, watched)).toEqual([true, true]);
    expect(at(949, watched)).toEqual([true, false]);
  });

  test("that is refused may wait for room, but not from 97.5 % on", () => {
    const watched = pressure();
    at(974, watched);
    expect(watched.full).toBe(false);
    at(975, watched);
    expect(watched.full).toBe(true);
  });

  test("is shed until there is room again, and not by turns", () => {
    const watched = pressure();
    at(900, watched);
    expect(at(800, watched)).toEqual([true, false]);
    expect(at(799, watched)).toEqual([false, false]);
    expect(at(899, watched)).toEqual([false, false]);
  });

  test("is not shed when idle connections to backends make room", () => {
    const watched = pressure();
    idleBackends = 200;
    expect(at(960, watched)).toEqual([false, false]);
    expect(closedClients).toBe(0);
  });

  test("is shed when the descriptors cannot be counted: that there is none left is why", () => {
    const watched = pressure();
    unreadable = true;
    expect(at(100, watched)).toEqual([true, true]);
  });

  test("is never shed without a limit", () => {
    const watched = pressure(null);
    for (let i = 0; i < 100; i++) watched.opened();
    expect(at(1e9, watched)).toEqual([false, false]);
    expect(looks).toBe(0);
  });
});

describe("while it is shed", () => {
  test("idle connections of clients are closed, ten times a second at most", () => {
    const watched = pressure();
    at(900, watched);
    for (let i = 0; i < 5; i++) watched.tick();
    expect(closedClients).toBe(1);
    at(900, watched);
    expect(closedClients).toBe(2);
  });

  test("connections that are opened close nobody's: a request may have come on them in this turn of the loop", () => {
    const watched = pressure();
    open = 900;
    for (let i = 0; i < 10; i++) watched.opened();
    expect([watched.shedding, closedClients]).toEqual([true, 0]);
  });

  test("it is said once, and once when it is over, however often it turns", () => {
    const watched = pressure();
    for (let i = 0; i < 20; i++) {
      at(900, watched);
      at(700, watched);
    }
    expect(log.lines.map(({ level }) => level)).toEqual(["warn", "info"]);
    now += 10_000;
    at(900, watched);
    expect(log.lines).toHaveLength(3);
  });
});

test("a burst is noticed before it has taken one percent of the limit", () => {
  const watched = pressure();
  open = 960;
  for (let i = 0; i < 9; i++) watched.opened();
  expect(looks).toBe(0);
  watched.opened();
  expect(watched.refusing).toBe(true);
});
