import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { PULSE_WORDS, type StrategyCall, WorkerPulse } from "../../src/pool/worker-pulse.ts";
import type { Plan } from "../../src/process/messages.ts";
import { type MortalWorker, WorkerWatch } from "../../src/process/worker-watch.ts";
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
let recycled: number[];
let killed: number;
let bytes: number;
let watch: WorkerWatch;
let mine: number;
let strategies: Plan["strategies"];

/** Each is a process of its own. */
let worker: MortalWorker;
/** Whether a worker that is to be recycled serves in a place. */
let hasPlace: boolean;
/** Whether the next workers are to end. */
let isToEnd: boolean;
/** Of older versions, in the next workers. */
let superseded: number;

beforeEach(() => {
  clock = new VirtualClock();
  log = new RecordedLog();
  pulse = new WorkerPulse(new Int32Array(PULSE_WORDS));
  sealed = [];
  recycled = [];
  killed = 0;
  bytes = 0;
  hasPlace = true;
  isToEnd = false;
  superseded = 0;
  ({ strategies } = PLAN);
  worker = newWorker();
  watch = new WorkerWatch({
    workers: () => [worker],
    pulseOf: () => pulse,
    strategies: () => strategies,
    limits: () => ({ watchdogMs: 1000, workerMemoryBytes: 1000 }),
    isWhole: () => true,
    recycle: ({ pid }) => {
      if (hasPlace) recycled.push(pid);
      return hasPlace;
    },
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

function newWorker(): MortalWorker {
  const modules = { superseded: () => superseded };
  const ping = () => Promise.resolve("well");
  const kill = () => void killed++;
  const process = { index: 3, pid: 42, column: 0, alive: true, ping, kill };
  return { ...process, isToEnd, endedFor: null, modules };
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
  watch.ended(worker, "signal SIGKILL");
}

/** A worker whose process exits by itself, between calls. */
function exits(): void {
  worker = newWorker();
  pulse.beat();
  watch.ended(worker, "exit code 7");
}

function diesIn(call: StrategyCall | null): string | null {
  if (call !== null) pulse.callsOf(mine).enter(call);
  return watch.ended(worker, "signal SIGSEGV");
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
    expect(watch.ended(worker, "signal SIGKILL")).toMatch(
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

  test("with too much memory is killed", async () => {
    bytes = 1001;
    await clock.pass(200);
    expect(killed).toBe(1);
    expect(log.lines[0]?.message).toContain("of memory");
    expect(watch.ended(worker, "signal SIGKILL")).toMatch(/^it has .* of memory/);
  });
});

describe("a worker that exits between calls, and was not told to", () => {
  test("is named with who is suspected, and counts against the only strategy from a file", () => {
    strategies = { web: file("abc"), other: BUILT_IN };
    const { web } = watch.conditionsOf({ ...PLAN, strategies });
    exits();
    expect(log.lines).toMatchObject([
      {
        level: "error",
        message: "a worker exited, and nobody had told it to",
        fields: { worker: 3, pid: 42, reason: "exit code 7" },
      },
      {
        level: "warn",
        message: "the end of a worker counts against a strategy",
        fields: { suspects: "mine of pool web", strategy: "mine", version: "abc" },
      },
    ]);
    expect(sealed).toEqual([]);
    exits();
    expect(sealed).toEqual([web?.number] as number[]);
  });

  test("counts against the strategy that came last, in each of its pools, and then the one before", () => {
    strategies = { web: file("abc"), api: file("def") };
    watch.conditionsOf({ ...PLAN, strategies });
    strategies = { web: file("ghi"), api: file("def"), admin: file("ghi") };
    const { web, api, admin } = watch.conditionsOf({ ...PLAN, strategies });
    exits();
    exits();
    expect(sealed).toEqual([web?.number, admin?.number] as number[]);
    exits();
    exits();
    expect(sealed).toEqual([web?.number, admin?.number, api?.number] as number[]);
  });

  test("counts against nobody when the worker said itself that it failed", () => {
    strategies = { web: file("abc") };
    watch.conditionsOf({ ...PLAN, strategies });
    for (let time = 0; time < 2; time++) {
      worker = { ...newWorker(), endedFor: "failed: no such folder" };
      pulse.beat();
      watch.ended(worker, "exit code 1");
    }
    expect(sealed).toEqual([]);
    expect(log.lines).toEqual([]);
  });

  test("counts against nobody when it held older versions: their timers go on", () => {
    strategies = { web: file("abc") };
    superseded = 1;
    for (let time = 0; time < 4; time++) exits();
    expect(sealed).toEqual([]);
    expect(log.lines.at(-1)).toMatchObject({
      message: "the end of a worker counts against no strategy",
      fields: { suspects: "mine of pool web", because: "it held older versions, too" },
    });
  });

  test("counts against no built-in strategy", () => {
    exits();
    exits();
    expect(sealed).toEqual([]);
    expect(log.messages).toEqual(Array(2).fill("a worker exited, and nobody had told it to"));
  });

  test("before it was set up holds no strategy", () => {
    strategies = { web: file("abc") };
    worker = newWorker();
    watch.ended(worker, "exit code 1");
    expect(log.lines).toEqual([]);
  });

  test("is no news when it was told to", () => {
    strategies = { web: file("abc") };
    isToEnd = true;
    exits();
    exits();
    expect(log.lines).toEqual([]);
    expect(sealed).toEqual([]);
  });
});

describe("a loop between calls", () => {
  test("where several strategies may have done it counts against the one that came last", async () => {
    strategies = { web: file("abc"), api: file("def") };
    const { api } = watch.conditionsOf({ ...PLAN, strategies });
    await loops();
    await loops();
    expect(sealed).toEqual([api?.number] as number[]);
  });
});

test("a worker that is nearly full is recycled, and its successor in a minute at the earliest", async () => {
  bytes = 950;
  await clock.pass(59_000);
  expect(recycled).toEqual([42]);
  expect(log.lines).toMatchObject([
    {
      level: "warn",
      message: expect.stringMatching(
        /^a worker is recycled before it is ended: it has .* of memory/,
      ),
      fields: { worker: 3, pid: 42 },
    },
  ]);
  await clock.pass(2000);
  expect(recycled).toEqual([42, 42]);
  expect(killed).toBe(0);
});

test("a worker that is nearly full and stops already does not keep its successor from being recycled", async () => {
  bytes = 950;
  hasPlace = false;
  await clock.pass(1000);
  expect(log.lines).toEqual([]);
  hasPlace = true;
  await clock.pass(1000);
  expect(recycled).toEqual([42]);
});

test("a worker that beats and gives no answer is ended, which counts against its strategy", async () => {
  strategies = { web: file("abc") };
  const { web } = watch.conditionsOf({ ...PLAN, strategies });
  for (let time = 0; time < 2; time++) {
    worker = { ...newWorker(), ping: () => silence() };
    for (let tick = 0; tick < 100; tick++) {
      pulse.beat();
      await clock.pass(100);
    }
    watch.ended(worker, "signal SIGKILL");
  }
  expect(killed).toBe(2);
  expect(log.messages[0]).toContain("it answers its master no more");
  expect(sealed).toEqual([web?.number] as number[]);
});

/** As long as an answer is waited for. */
function silence(): Promise<null> {
  return new Promise((resolve) => clock.schedule(500, () => resolve(null)));
}
