import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { PULSE_WORDS, type StrategyCall, WorkerPulse } from "../../src/pool/worker-pulse.ts";
import type { Plan } from "../../src/process/messages.ts";
import type { WatchedWorker } from "../../src/process/watchdog.ts";
import { WorkerWatch } from "../../src/process/worker-watch.ts";
import { RecordedLog } from "../_support/recorded-log.ts";
import { VirtualClock } from "../_support/virtual-clock.ts";

const STRATEGY = { pool: "web", strategy: "mine", version: "abc" };
const BUILT_IN: Plan["strategies"][string] = {
  module: { kind: "built-in", name: "mine" },
  description: { name: "mine", version: "abc", source: "built-in" },
};
const PLAN = { strategies: { web: BUILT_IN } } as unknown as Plan;

let clock: VirtualClock;
let log: RecordedLog;
let pulse: WorkerPulse;
let sealed: number[];
let killed: number;
let bytes: number;
let watch: WorkerWatch;
let mine: number;
let strategies: Plan["strategies"];

/** Each is a process of its own. */
let worker: WatchedWorker;

beforeEach(() => {
  clock = new VirtualClock();
  log = new RecordedLog();
  pulse = new WorkerPulse(new Int32Array(PULSE_WORDS));
  sealed = [];
  killed = 0;
  bytes = 0;
  ({ strategies } = PLAN);
  worker = newWorker();
  watch = new WorkerWatch({
    workers: () => [worker],
    pulseOf: () => pulse,
    strategies: () => strategies,
    limits: () => ({ watchdogMs: 1000, workerMemoryBytes: 1000 }),
    seal: (strategy) => void sealed.push(strategy),
    usages: { memoryOf: () => ({ bytes, state: "R" }), cpuOf: () => clock.nowMs },
    now: clock.now,
    schedule: clock.schedule,
    log,
  });
  mine = watch.conditionsOf(PLAN)["web"]?.number ?? Number.NaN;
  watch.start();
});

afterEach(() => watch.stop());

function newWorker(): WatchedWorker {
  return { index: 3, pid: 42, column: 0, kill: () => void killed++ };
}

/** A strategy from a file. */
function file(version: string): Plan["strategies"][string] {
  const module = { kind: "file", source: "/mine.ts", path: `/tmp/${version}.js`, version } as const;
  return { module, description: { name: "mine", version, source: "/mine.ts" } };
}

/** A worker that does not beat any more, computes, and is ended for it. */
async function loops(): Promise<void> {
  worker = newWorker();
  pulse.beat();
  await clock.pass(5000);
  watch.ended(worker);
}

function diesIn(call: StrategyCall | null): string | null {
  if (call !== null) pulse.callsOf(mine).enter(call);
  return watch.ended(worker);
}

describe("a worker that ended", () => {
  test("between calls is nobody's fault", () => {
    expect(diesIn(null)).toBeNull();
    expect(diesIn(null)).toBeNull();
    expect(log.lines).toEqual([]);
    expect(sealed).toEqual([]);
  });

  test("in a strategy's code names it, and leaves nothing to the next worker in its column", () => {
    expect(diesIn("onEnd")).toBe("in onEnd of strategy mine of pool web");
    expect(log.lines).toEqual([
      {
        level: "error",
        message: "a worker ended in a strategy's code",
        fields: { worker: 3, pid: 42, ...STRATEGY, call: "onEnd" },
      },
    ]);
    expect(pulse.call).toBeNull();
    diesIn(null);
    expect(log.lines).toHaveLength(1);
    expect(sealed).toEqual([]);
  });

  test("in a strategy's code for the second time seals it everywhere, in workers to come too", () => {
    diesIn("score");
    diesIn("create");
    expect(sealed).toEqual([mine]);
    expect(log.lines.at(-1)).toMatchObject({
      level: "error",
      message: expect.stringContaining("strategy quarantined"),
      fields: STRATEGY,
    });
    expect(watch.conditionsOf(PLAN)["web"]).toEqual({ number: mine, sealed: true });
  });
});

describe("a worker that hangs", () => {
  test("in a strategy's code is killed, and both are named", async () => {
    pulse.beat();
    pulse.callsOf(mine).enter("pick");
    await clock.pass(5000);
    expect(killed).toBe(1);
    expect(log.lines).toMatchObject([
      {
        level: "error",
        message: expect.stringMatching(/^the watchdog ends a worker: it computes without a break/),
        fields: { worker: 3, pid: 42, ...STRATEGY, call: "pick" },
      },
    ]);
    expect(watch.ended(worker)).toMatch(
      /^it computes without a break .*, in pick of strategy mine of pool web$/,
    );
  });

  test("between calls is killed with a guess, and built-in strategies are not blamed", async () => {
    for (let time = 0; time < 2; time++) await loops();
    expect(killed).toBe(2);
    expect(log.lines).toHaveLength(2);
    expect(log.lines[0]?.fields["hint"]).toContain("a timer or a promise");
    expect(sealed).toEqual([]);
  });

  test("between calls counts against the strategy that is from a file, in each of its pools", async () => {
    strategies = { web: file("abc"), api: file("abc"), other: BUILT_IN };
    const { web, api } = watch.conditionsOf({ ...PLAN, strategies });
    await loops();
    expect(sealed).toEqual([]);
    await loops();
    expect(sealed).toEqual([web?.number, api?.number] as number[]);
  });

  test("between calls is nobody's fault where it may be that of several", async () => {
    strategies = { web: file("abc"), api: file("def") };
    await loops();
    await loops();
    expect(sealed).toEqual([]);
  });

  test("with too much memory is killed", async () => {
    bytes = 1001;
    await clock.pass(200);
    expect(killed).toBe(1);
    expect(log.lines[0]?.message).toContain("of memory");
    expect(watch.ended(worker)).toMatch(/^it has .* of memory/);
  });
});
