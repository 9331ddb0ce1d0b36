import { beforeEach, describe, expect, test } from "bun:test";
import { Patience } from "../../src/process/patience.ts";
import { VirtualClock } from "../_support/virtual-clock.ts";

let clock: VirtualClock;
let state: string;
/** Of each quarter of a second, what the process computes. */
let computesMs: number;
let spent: number;
let heldUp: number;
let patience: Patience;

beforeEach(() => {
  clock = new VirtualClock();
  state = "S";
  computesMs = 0;
  spent = 0;
  heldUp = 0;
  let computedMs = 0;
  patience = new Patience({
    pid: 42,
    limitMs: 10_000,
    usages: {
      memoryOf: () => ({ bytes: 0, state }),
      cpuOf: () => (computedMs += computesMs),
    },
    now: clock.now,
    schedule: clock.schedule,
    onSpent: () => spent++,
    onHeldUp: () => heldUp++,
  });
});

describe("the time of a process that is waited for", () => {
  test("is over when it sleeps, which it does because of something of its own", async () => {
    await clock.pass(9999);
    expect(spent).toBe(0);
    await clock.pass(1);
    expect(spent).toBe(1);
    expect(clock.pending).toBe(0);
  });

  test("is over when it computes all the time", async () => {
    state = "R";
    computesMs = 250;
    await clock.pass(10_250);
    expect(spent).toBe(1);
  });

  test("is what it computes while it waits for a processor", async () => {
    state = "R";
    computesMs = 200;
    await clock.pass(12_250);
    expect(spent).toBe(0);
    await clock.pass(500);
    expect(spent).toBe(1);
  });

  test("does not pass while it is stopped, which is told again and again", async () => {
    state = "T";
    await clock.pass(30_000);
    expect({ spent, heldUp }).toEqual({ spent: 0, heldUp: 3 });
    state = "S";
    await clock.pass(9750);
    expect(spent).toBe(0);
    await clock.pass(250);
    expect(spent).toBe(1);
  });

  test("does not pass while nobody looks", async () => {
    await clock.pass(9000);
    clock.nowMs += 3_600_000;
    await clock.pass(250);
    expect(spent).toBe(0);
  });

  test("begins anew with every step, and ends when it is ended", async () => {
    await clock.pass(9000);
    patience.renew();
    await clock.pass(9000);
    patience.end();
    await clock.pass(60_000);
    expect({ spent, heldUp }).toEqual({ spent: 0, heldUp: 0 });
  });
});
