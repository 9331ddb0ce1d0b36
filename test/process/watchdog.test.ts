import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { PULSE_WORDS, WorkerPulse } from "../../src/pool/worker-pulse.ts";
import { BEAT_MS, Watchdog } from "../../src/process/watchdog.ts";
import { VirtualClock } from "../_support/virtual-clock.ts";

const MIB = 2 ** 20;

/** What one worker does from now on. */
interface Doing {
  beats: boolean;
  /** Of the time that passes, what its main thread computes. */
  cpuShare: number;
  state: string;
}

let clock: VirtualClock;
let doing: Doing;
let cpuMs: number;
let bytes: number | null;
let watchdogMs: number | null;
let pulse: WorkerPulse;
let causes: string[];
let watchdog: Watchdog;

const worker = { index: 0, pid: 42, column: 0, kill() {} };

beforeEach(() => {
  clock = new VirtualClock();
  doing = { beats: true, cpuShare: 0.01, state: "S" };
  cpuMs = 0;
  bytes = 100 * MIB;
  watchdogMs = 1000;
  pulse = new WorkerPulse(new Int32Array(PULSE_WORDS));
  causes = [];
  watchdog = new Watchdog({
    workers: () => [worker],
    pulseOf: () => pulse,
    usages: {
      memoryOf: () => (bytes === null ? null : { bytes, state: doing.state }),
      cpuOf: () => cpuMs,
    },
    limits: () => ({ watchdogMs, workerMemoryBytes: 200 * MIB }),
    isWhole: () => true,
    now: clock.now,
    schedule: clock.schedule,
    onHanging: (_worker, { text }) => void causes.push(text),
    onFull() {},
  });
  pulse.beat();
  watchdog.start();
  liveOn();
});

afterEach(() => watchdog.stop());

function liveOn(): void {
  clock.schedule(BEAT_MS, () => {
    cpuMs += BEAT_MS * doing.cpuShare;
    if (doing.beats) pulse.beat();
    liveOn();
  });
}

describe("a worker is well", () => {
  test("while it beats, however much it computes", async () => {
    doing = { beats: true, cpuShare: 1, state: "R" };
    await clock.pass(60_000);
    expect(causes).toEqual([]);
  });

  test("when it is stopped, for however long", async () => {
    await clock.pass(1000);
    doing = { beats: false, cpuShare: 0, state: "T" };
    await clock.pass(600_000);
    expect(causes).toEqual([]);
  });

  test("when it was stopped for long, and then works off what has come meanwhile", async () => {
    doing = { beats: false, cpuShare: 0, state: "T" };
    await clock.pass(10_000);
    doing = { beats: false, cpuShare: 1, state: "R" };
    await clock.pass(600);
    doing = { beats: true, cpuShare: 0.01, state: "S" };
    await clock.pass(2000);
    expect(causes).toEqual([]);
  });

  test("when it gets hardly any processor", async () => {
    await clock.pass(1000);
    doing = { beats: false, cpuShare: 0.02, state: "R" };
    await clock.pass(5000);
    doing.beats = true;
    await clock.pass(1000);
    expect(causes).toEqual([]);
  });

  test("when it sleeps, but not in a strategy", async () => {
    await clock.pass(1000);
    doing = { beats: false, cpuShare: 0, state: "S" };
    await clock.pass(60_000);
    expect(causes).toEqual([]);
  });

  test("when it computes for less than the watchdog's time, again and again", async () => {
    for (let time = 0; time < 20; time++) {
      doing = { beats: false, cpuShare: 1, state: "R" };
      await clock.pass(800);
      doing.beats = true;
      await clock.pass(300);
    }
    expect(causes).toEqual([]);
  });

  test("when it has not come up yet", async () => {
    pulse.clear();
    doing = { beats: false, cpuShare: 1, state: "R" };
    await clock.pass(60_000);
    expect(causes).toEqual([]);
  });

  test("when it was stopped together with the master, in the middle of some work", async () => {
    await clock.pass(1000);
    doing = { beats: false, cpuShare: 1, state: "R" };
    await clock.pass(500);
    clock.nowMs += 30_000;
    await clock.pass(100);
    doing.beats = true;
    await clock.pass(1000);
    expect(causes).toEqual([]);
  });

  test("when there is no watchdog", async () => {
    watchdogMs = null;
    doing = { beats: false, cpuShare: 1, state: "R" };
    await clock.pass(60_000);
    expect(causes).toEqual([]);
  });

  test("when nothing can be known of it", async () => {
    bytes = null;
    doing = { beats: false, cpuShare: 1, state: "R" };
    await clock.pass(60_000);
    expect(causes).toEqual([]);
  });
});

describe("a worker hangs", () => {
  test("when it computes for longer than the watchdog allows, and that is said once", async () => {
    await clock.pass(1000);
    doing = { beats: false, cpuShare: 1, state: "R" };
    await clock.pass(900);
    expect(causes).toEqual([]);
    await clock.pass(500);
    expect(causes).toEqual([expect.stringMatching(/^computes without a break for 1\d{3} ms/)]);
    await clock.pass(10_000);
    expect(causes).toHaveLength(1);
  });

  test("when it computes on a third of a processor", async () => {
    doing = { beats: false, cpuShare: 1 / 3, state: "R" };
    await clock.pass(1500);
    expect(causes).toHaveLength(1);
  });

  test("when it has computed for as long as the watchdog allows, on however little of a processor", async () => {
    doing = { beats: false, cpuShare: 0.15, state: "R" };
    await clock.pass(5500);
    expect(causes).toEqual([]);
    await clock.pass(2000);
    expect(causes).toEqual([expect.stringMatching(/^computes without a break for \d{4} ms/)]);
  });

  test("when it sleeps in a strategy for five times as long", async () => {
    pulse.callsOf(1).enter("pick");
    doing = { beats: false, cpuShare: 0, state: "S" };
    await clock.pass(4900);
    expect(causes).toEqual([]);
    await clock.pass(600);
    expect(causes).toEqual([expect.stringMatching(/^sleeps in a strategy's code for 5\d{3} ms$/)]);
  });

  test("by the time that is in force now", async () => {
    doing = { beats: false, cpuShare: 1, state: "R" };
    await clock.pass(700);
    watchdogMs = 500;
    await clock.pass(200);
    expect(causes).toHaveLength(1);
  });
});

test("a worker with more memory than it may have is named with both", async () => {
  bytes = 201 * MIB;
  watchdogMs = null;
  await clock.pass(200);
  expect(causes).toEqual(["has 201 MiB of memory, and workerMemory allows 200 MiB"]);
});

describe("several workers with more memory than they may have", () => {
  const MAY = 200 * MIB;
  let living: { index: number; pid: number; column: number; kill(): void; bytes: number }[];
  let isWhole: boolean;
  let ended: number[];
  let full: number[];

  beforeEach(() => {
    living = [201, 203, 202].map((mib, index) => {
      return { index, pid: 100 + index, column: index, kill() {}, bytes: mib * MIB };
    });
    isWhole = true;
    ended = [];
    full = [];
    watchdog.stop();
    watchdog = new Watchdog({
      workers: () => living,
      pulseOf: () => new WorkerPulse(new Int32Array(PULSE_WORDS)),
      usages: {
        memoryOf: (pid) => ({ bytes: living[pid - 100]?.bytes ?? 0, state: "S" }),
        cpuOf: () => 0,
      },
      limits: () => ({ watchdogMs, workerMemoryBytes: MAY }),
      isWhole: () => isWhole,
      now: clock.now,
      schedule: clock.schedule,
      onHanging: ({ index }) => void ended.push(index),
      onFull: ({ index }) => void full.push(index),
    });
    watchdog.start();
  });

  test("are ended one after the other, the largest first, each when the one before is gone and replaced", async () => {
    await clock.pass(10_000);
    // It takes its time to go.
    expect(ended).toEqual([1]);
    living = living.map((each) => (each.index === 1 ? { ...each, bytes: 0 } : each));
    isWhole = false;
    await clock.pass(10_000);
    expect(ended).toEqual([1]);
    isWhole = true;
    await clock.pass(200);
    expect(ended).toEqual([1, 2]);
  });

  test("are waited for up to twice as much", async () => {
    isWhole = false;
    await clock.pass(1000);
    expect(ended).toEqual([]);
    living = living.map((each) => ({ ...each, bytes: 2 * MAY + 1 }));
    await clock.pass(200);
    expect(ended).toHaveLength(1);
  });

  test("have been told of from 90 % on", async () => {
    living = [0.89, 0.9, 0.99].map((share, index) => {
      return { index, pid: 100 + index, column: index, kill() {}, bytes: share * MAY };
    });
    await clock.pass(200);
    expect(full).toEqual([1, 2]);
    expect(ended).toEqual([]);
  });
});

test("nobody is watched after the end", async () => {
  watchdog.stop();
  bytes = 201 * MIB;
  await clock.pass(10_000);
  expect(causes).toEqual([]);
});
