import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { PULSE_WORDS, WorkerPulse } from "../../src/pool/worker-pulse.ts";
import { AnswerWatch } from "../../src/process/answer-watch.ts";
import { VirtualClock } from "../_support/virtual-clock.ts";
import { WorkerStage } from "../_support/worker-stage.ts";

let clock: VirtualClock;
let pulse: WorkerPulse;
let beats: boolean;
let answers: boolean;
/** For which the master stops while it waits for an answer. */
let pauseMs: number;
let watch: AnswerWatch;
let ended: string[];

const worker = {
  index: 0,
  pid: 42,
  column: 0,
  alive: true,
  kill() {},
  ping() {
    const answer = new Promise((resolve) =>
      clock.schedule(answers ? 1 : 500, () => resolve(answers || null)),
    );
    clock.nowMs += pauseMs;
    return answer;
  },
};

beforeEach(() => {
  clock = new VirtualClock();
  pulse = new WorkerPulse(new Int32Array(PULSE_WORDS));
  beats = true;
  answers = true;
  pauseMs = 0;
  ended = [];
  watch = new AnswerWatch({
    workers: () => [worker],
    pulseOf: () => pulse,
    now: clock.now,
    schedule: clock.schedule,
    onSilent: (_worker, text) => void ended.push(text),
  });
  pulse.beat();
  watch.start();
  liveOn();
});

afterEach(() => watch.stop());

function liveOn(): void {
  clock.schedule(100, () => {
    if (beats) pulse.beat();
    liveOn();
  });
}

describe("a worker that gives no answer", () => {
  test("while it beats is given up after four times, which is told once", async () => {
    answers = false;
    await clock.pass(4400);
    expect(ended).toEqual([]);
    await clock.pass(60_000);
    expect(ended).toEqual(["answers its master no more, though it is awake: asked 4 times"]);
  });

  test("and does not beat is left alone, but is nobody to send clients to", async () => {
    [answers, beats] = [false, false];
    await clock.pass(60_000);
    expect(ended).toEqual([]);
    expect(watch.answers(worker)).toBe(false);
    [answers, beats] = [true, true];
    await clock.pass(1100);
    expect(watch.answers(worker)).toBe(true);
  });

  test("now and then is well", async () => {
    for (let time = 0; time < 10; time++) {
      answers = false;
      await clock.pass(3000);
      answers = true;
      await clock.pass(2000);
    }
    expect(ended).toEqual([]);
  });

  test("because the master itself was not running is left alone", async () => {
    [answers, pauseMs] = [false, 10_000];
    await clock.pass(600_000);
    expect(ended).toEqual([]);
  });

  test("before it has come up is waited for", async () => {
    pulse.clear();
    [answers, beats] = [false, false];
    await clock.pass(60_000);
    expect(ended).toEqual([]);
    expect(watch.answers(worker)).toBe(true);
  });
});

test("one missing answer is no reason to send clients elsewhere, two are", async () => {
  answers = false;
  await clock.pass(1600);
  expect(watch.answers(worker)).toBe(true);
  await clock.pass(1000);
  expect(watch.answers(worker)).toBe(false);
});

test("what is asked costs a worker nothing, however many connections it would have to count", async () => {
  const stage = new WorkerStage();
  const group = await stage.started(1);
  const watched = new AnswerWatch({
    workers: () => group.living,
    pulseOf: () => pulse,
    now: stage.clock.now,
    schedule: stage.clock.schedule,
    onSilent: () => {},
  });
  watched.start();
  await stage.clock.pass(3600);
  watched.stop();
  const [asked] = stage.workers.all;
  const questions = asked?.told.slice(3) ?? [];
  expect(questions.map(({ type }) => type)).toEqual(["ping", "ping", "ping"]);
  expect(group.living.every((each) => watched.answers(each))).toBe(true);
});
