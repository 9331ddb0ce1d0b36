import { expect, test } from "bun:test";
import { PULSE_WORDS, STRATEGY_CALLS, WorkerPulse } from "../../src/pool/worker-pulse.ts";

function pulses(): [worker: WorkerPulse, master: WorkerPulse] {
  const words = new Int32Array(PULSE_WORDS);
  return [new WorkerPulse(words), new WorkerPulse(words)];
}

test("beats are seen by whoever has the same memory", () => {
  const [worker, master] = pulses();
  expect(master.beats).toBe(0);
  worker.beat();
  worker.beat();
  expect(master.beats).toBe(2);
});

test.each(STRATEGY_CALLS.map((call) => [call]))("a call of %s is seen while it lasts", (call) => {
  const [worker, master] = pulses();
  for (const strategy of [0, 1, 2 ** 26 - 1]) {
    const mark = worker.callsOf(strategy);
    expect(master.call).toBeNull();
    const before = mark.enter(call);
    expect(master.call).toEqual({ strategy, call });
    mark.leave(before);
    expect(master.call).toBeNull();
  }
});

test("a pick during an import that waits leaves the import under way", () => {
  const [worker, master] = pulses();
  const [comes, serves] = [worker.callsOf(8), worker.callsOf(7)];
  const beforeImport = comes.enter("import");
  const beforePick = serves.enter("pick");
  expect(master.call).toEqual({ strategy: 7, call: "pick" });
  serves.leave(beforePick);
  expect(master.call).toEqual({ strategy: 8, call: "import" });
  comes.leave(beforeImport);
  expect(master.call).toBeNull();
});

test("the next worker begins with nothing", () => {
  const [worker, master] = pulses();
  worker.beat();
  worker.callsOf(3).enter("create");
  master.clear();
  expect([worker.beats, worker.call]).toEqual([0, null]);
});

test.each([-1, 0.5, 2 ** 26, Number.NaN])("no strategy has the number %d", (number) => {
  expect(() => pulses()[0].callsOf(number)).toThrow(RangeError);
});
