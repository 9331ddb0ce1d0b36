import { beforeEach, describe, expect, test } from "bun:test";
import { PULSE_WORDS, WorkerPulse } from "../../../src/pool/worker-pulse.ts";
import type { ChildEvents, ChildExit } from "../../../src/process/child-process.ts";
import type { ShadowSetup, ToShadow } from "../../../src/process/shadow/messages.ts";
import { Shadow } from "../../../src/process/shadow/shadow.ts";
import type { ShadowFigures } from "../../../src/strategy/shadow/figures.ts";
import { PICK_BOUNDS } from "../../../src/telemetry/metrics/instruments.ts";
import { RecordedLog } from "../../_support/recorded-log.ts";
import { VirtualClock } from "../../_support/virtual-clock.ts";

interface Played {
  readonly events: ChildEvents;
  readonly told: ToShadow[];
  killed: boolean;
}

const SETUP = { pool: "web", index: 0 } as ShadowSetup;
const VERSION = "1.2.3";

let clock: VirtualClock;
let log: RecordedLog;
let pulse: WorkerPulse;
let processes: Played[];
let failures: Error[];
let gone: number[];
let shadow: Shadow;

beforeEach(() => {
  clock = new VirtualClock();
  log = new RecordedLog();
  pulse = new WorkerPulse(new Int32Array(PULSE_WORDS));
  processes = [];
  failures = [];
  gone = [];
  shadow = new Shadow({
    setup: () => SETUP,
    slot: 3,
    pulse,
    version: VERSION,
    spawn(events) {
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      const played: Played = { events, told: [], killed: false };
      processes.push(played);
      return {
        pid: 100 + processes.length,
        send: (message) => void played.told.push(message),
        kill: () => {
          played.killed = true;
        },
      };
    },
    schedule: clock.schedule,
    now: clock.now,
    log,
    label: () => ({ shadow: "web[0]" }),
    backends: () => [{ id: "a" }, { id: "b" }],
    onChange() {},
    onFigures: ({ picks }) => void gone.push(picks),
  });
  shadow.start();
});

function last(): Played {
  return processes.at(-1) as Played;
}

function comeUp(): void {
  last().events.onMessage({ type: "started", version: VERSION });
  last().events.onMessage({ type: "running" });
}

function figures(picks: number): ShadowFigures {
  const rest = { agreed: 0, agreement: null, refused: 0, fallbacks: 0, faults: 0, dropped: 0 };
  return { picks, ...rest, pickMs: null, backends: [] };
}

/** What its process ends of, and where. */
function die(exit: ChildExit, call?: "score" | "onEnd"): void {
  if (call !== undefined) pulse.callsOf(0).enter(call);
  last().events.onExit(exit);
}

const KILLED = { code: null, signal: "SIGKILL" };

describe("a process", () => {
  test("that starts is told how things are, and only then of what changes", () => {
    shadow.tell({ type: "workerEnded", column: 0 });
    expect(last().told).toEqual([]);
    last().events.onMessage({ type: "started", version: VERSION });
    shadow.tell({ type: "workerEnded", column: 1 });
    expect(last().told).toEqual([
      { type: "setup", setup: SETUP },
      { type: "workerEnded", column: 1 },
    ]);
    expect(shadow.state).toBe("starting");
    last().events.onMessage({ type: "running" });
    expect(shadow.state).toBe("running");
    expect(shadow.watched).toMatchObject({ pid: 101, column: 3 });
  });

  test("that says a second time that it starts is not set up again", () => {
    comeUp();
    last().events.onMessage({ type: "started", version: VERSION });
    expect(last().told).toHaveLength(1);
  });

  test("of another program is not used", () => {
    last().events.onMessage({ type: "started", version: "1.2.4" });
    expect(shadow.state).toBe("stopped");
    expect(shadow.reason).toContain("leastwise 1.2.4, its master 1.2.3");
    expect(last().killed).toBe(true);
  });

  test("that does not come up is ended and replaced", async () => {
    await clock.pass(30_000);
    expect(last().killed).toBe(true);
    die(KILLED);
    expect(shadow.state).toBe("restarting");
  });

  test("that cannot be started is tried again", async () => {
    comeUp();
    failures.push(new Error("no room"));
    die(KILLED);
    await clock.pass(100);
    expect(shadow.reason).toBe("no process can be started: no room");
    await clock.pass(500);
    comeUp();
    expect({ state: shadow.state, reason: shadow.reason }).toEqual({
      state: "running",
      reason: null,
    });
  });
});

describe("when its process ends", () => {
  const verdicts: readonly (readonly [
    situation: string,
    exit: ChildExit,
    call: "score" | "onEnd" | undefined,
    reason: string,
  ])[] = [
    ["by its own exit", { code: 3, signal: null }, "onEnd", "exited in onEnd, with exit code 3"],
    [
      "by an exit between calls",
      { code: 0, signal: null },
      undefined,
      "exited outside of every call, with exit code 0",
    ],
    ["by a crash", { code: null, signal: "SIGSEGV" }, "score", "died in score, by SIGSEGV"],
  ];
  test.each(verdicts)("%s, it has stopped", async (_, exit, call, reason) => {
    comeUp();
    die(exit, call);
    expect({ state: shadow.state, reason: shadow.reason }).toEqual({ state: "stopped", reason });
    expect(shadow.watched).toBeNull();
    await clock.pass(600_000);
    expect(processes).toHaveLength(1);
    expect(log.lines.at(-1)).toMatchObject({
      level: "warn",
      fields: { shadow: "web[0]", reason },
    });
  });

  test.each([
    ["computes", "looped in score: it did so"],
    ["sleeps", "slept in score: it did so"],
    ["memory", "leaked in score: it did so"],
  ] as const)("by the watchdog (%s), it has stopped, and where is known", (kind, reason) => {
    comeUp();
    shadow.hanging({ kind, text: "did so" });
    expect(last().killed).toBe(true);
    die(KILLED, "score");
    expect({ state: shadow.state, reason: shadow.reason }).toEqual({ state: "stopped", reason });
  });

  test("from outside, even in the middle of a call, it is replaced, later each time", async () => {
    for (const waitMs of [100, 500, 1000, 5000, 30_000, 30_000]) {
      comeUp();
      const before = processes.length;
      die(KILLED, "score");
      expect(shadow.state).toBe("restarting");
      await clock.pass(waitMs - 1);
      expect(processes).toHaveLength(before);
      await clock.pass(1);
      expect(processes).toHaveLength(before + 1);
      // What the one before was busy with is not this one's.
      expect(pulse.call).toBeNull();
    }
    expect(shadow.restarts).toBe(6);
    comeUp();
    await clock.pass(60_000);
    die(KILLED);
    await clock.pass(100);
    expect(processes).toHaveLength(8);
  });
});

describe("figures", () => {
  test("are what its process tells, and the last ones while it is busy", async () => {
    comeUp();
    const asked = shadow.figures();
    expect(last().told.at(-1)).toEqual({ type: "report", id: 1 });
    last().events.onMessage({ type: "report", id: 1, figures: figures(5) });
    expect(await asked).toMatchObject({ picks: 5 });
    const unanswered = shadow.figures();
    await clock.pass(500);
    expect(await unanswered).toMatchObject({ picks: 5 });
  });

  test("of a process that has stopped stay, those of one that is replaced are gone", async () => {
    comeUp();
    last().events.onMessage({ type: "stopped", reason: "enough", figures: figures(7) });
    expect(shadow).toMatchObject({ state: "stopped", reason: "enough" });
    expect(await shadow.figures()).toMatchObject({ picks: 7 });
    expect(gone).toEqual([]);
    shadow.end();
    expect(gone).toEqual([7]);
  });

  test("are told once as gone when its process is killed, and whoever waits gets none of them", async () => {
    comeUp();
    const asked = shadow.figures();
    last().events.onMessage({ type: "report", id: 1, figures: figures(5) });
    await asked;
    die(KILLED);
    expect(gone).toEqual([5]);
    expect(await shadow.figures()).toBeNull();
    shadow.end();
    expect(gone).toEqual([5]);
  });

  test("that its strategy made up do no harm", async () => {
    comeUp();
    const asked = shadow.figures();
    for (const bad of [
      null,
      "report",
      { type: "report", id: 1 },
      { type: "report", id: 1, figures: { ...figures(1), picks: -1 } },
      { type: "report", id: 1, figures: { ...figures(1), agreement: Number.NaN } },
      { type: "report", id: 1, figures: { ...figures(1), backends: [{ id: 5 }] } },
      { type: "report", id: 99, figures: figures(9) },
      { type: "unheard of" },
    ]) {
      last().events.onMessage(bad);
    }
    await clock.pass(500);
    expect(await asked).toMatchObject({ picks: 9 });
    expect(shadow.state).toBe("running");
  });
});

describe("of what its strategy made up", () => {
  const row = (id: string, requests = 0) => {
    const side = { requests, share: null, inFlight: { now: 0, mean: 0, max: 0 } };
    return { id, shadow: side, acting: side };
  };

  async function told(made: object): Promise<unknown> {
    comeUp();
    const asked = shadow.figures();
    last().events.onMessage({ type: "report", id: 1, figures: { ...figures(1), ...made } });
    await clock.pass(500);
    return asked;
  }

  test("backends that the pool does not have are left out, and those it has are told once", async () => {
    const strangers = Array.from({ length: 1000 }, (_, index) => row(`stranger-${index}`));
    const backends = [...strangers, row("b", 1), row("a", 2), row("b", 3)];
    expect(await told({ backends })).toEqual({
      ...figures(1),
      backends: [row("a", 2), row("b", 1)],
    });
  });

  test("what nobody asked for is left out, also what no JSON has", async () => {
    const more = { more: 1n };
    const side = { ...row("a").shadow, ...more };
    const backends = [{ ...row("a"), shadow: side, ...more }];
    expect(await told({ backends, ...more })).toEqual({ ...figures(1), backends: [row("a")] });
  });

  test("times of picks that are not in our buckets make no report", async () => {
    const buckets = Array.from({ length: 100_000 }, () => 0);
    expect(await told({ pickMs: { sum: 0, p50: 0, p99: 0, buckets } })).toBeNull();
  });

  test("times of picks are told as they are otherwise", async () => {
    const pickMs = { sum: 1, p50: 0.5, p99: 1, buckets: [...PICK_BOUNDS.map(() => 0), 1] };
    expect(await told({ pickMs: { ...pickMs, more: 1n } })).toEqual({ ...figures(1), pickMs });
  });
});

test("after its end nothing is started, and nothing that its process does is heard", async () => {
  comeUp();
  die(KILLED);
  shadow.end();
  await clock.pass(60_000);
  expect(processes).toHaveLength(1);
  last().events.onMessage({ type: "stopped", reason: "too late", figures: null });
  expect(shadow.reason).not.toBe("too late");
});
