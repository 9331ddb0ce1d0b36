import { beforeEach, expect, test } from "bun:test";
import { type ExportReport, ExportWatch } from "../../src/telemetry/export-watch.ts";
import { OutageLog } from "../../src/telemetry/outage-log.ts";
import { RecordedLog } from "../_support/recorded-log.ts";

const target = "http://c:4318/v1/traces";
const began: ExportReport = {
  signal: "traces",
  ok: false,
  reason: "refused",
  hint: null,
  lost: 0,
};
const over = (lost: number): ExportReport => ({ ...began, ok: true, reason: null, lost });

let log: RecordedLog;
let outages: OutageLog;
beforeEach(() => {
  log = new RecordedLog();
  outages = new OutageLog(log, { traces: target, metrics: "http://c:4318/v1/metrics" });
});

function logged(): string[] {
  return log.lines.map(
    ({ level, message, fields }) => `${level} ${message} ${JSON.stringify(fields)}`,
  );
}

test("an outage that all processes see is one line when it begins and one when the last is out of it", () => {
  outages.receive(0, began);
  outages.receive(1, { ...began, reason: "something else" });
  outages.receive(0, over(5));
  expect(logged()).toEqual([
    `warn spans cannot be exported and are dropped {"target":"${target}","reason":"refused"}`,
  ]);
  outages.receive(1, over(7));
  expect(logged().slice(1)).toEqual([
    `info spans are exported again {"target":"${target}","lostSpans":12}`,
  ]);
});

test("traces and metrics each have their own", () => {
  outages.receive(0, began);
  outages.receive(-1, { ...began, signal: "metrics", hint: "do this" });
  outages.receive(-1, { ...over(0), signal: "metrics" });
  expect(logged().slice(1)).toEqual([
    'warn metrics cannot be exported {"target":"http://c:4318/v1/metrics","reason":"refused","hint":"do this"}',
    'info metrics are exported again {"target":"http://c:4318/v1/metrics"}',
  ]);
});

test("a worker that ends takes its part of the outage along", () => {
  outages.receive(0, began);
  outages.gone(0);
  outages.receive(0, began);
  expect(logged()).toHaveLength(2);
});

test("when the last one that fails ends, it is over for those that work again", () => {
  outages.receive(0, began);
  outages.receive(1, began);
  outages.receive(0, over(5));
  outages.gone(1);
  expect(logged().slice(1)).toEqual([
    `info spans are exported again {"target":"${target}","lostSpans":5}`,
  ]);
  outages.gone(0);
  outages.receive(2, began);
  expect(logged()).toHaveLength(3);
});

test("that all is well is no news", () => {
  outages.receive(0, over(0));
  expect(logged()).toEqual([]);
});

test("a collector that is too slow is told of once, however many exports it takes in between", () => {
  const reports: ExportReport[] = [];
  const watch = new ExportWatch("traces", (report) => void reports.push(report));
  for (let cycle = 0; cycle < 4; cycle++) {
    watch.overflowed("50 wait", null);
    watch.lost(2);
    watch.succeeded();
  }
  // A failure meanwhile is part of it.
  watch.failed("refused", null);
  watch.drained();
  watch.lost(1);
  watch.succeeded();
  expect(reports).toEqual([{ ...began, reason: "50 wait" }, over(9)]);
  expect(watch.untold).toBe(0);
});

test("a process tells of the first failure only, and what was lost until it was over", () => {
  const reports: ExportReport[] = [];
  const watch = new ExportWatch("traces", (report) => void reports.push(report));
  watch.succeeded();
  for (let outage = 0; outage < 2; outage++) {
    watch.failed("refused", null);
    watch.lost(3);
    watch.failed("again", null);
    watch.lost(4);
    watch.succeeded();
    watch.succeeded();
  }
  expect(reports).toEqual([began, over(7), began, over(7)]);
});
