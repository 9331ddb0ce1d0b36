import { expect, test } from "bun:test";
import type { Logger } from "../../src/log.ts";
import { createDiagLog } from "../../src/telemetry/diag-log.ts";

function recorded(): { lines: string[]; log: Logger } {
  const lines: string[] = [];
  const write = (level: string) => (message: string) => void lines.push(`${level}: ${message}`);
  return {
    lines,
    log: { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") },
  };
}

test("messages that differ only in numbers come once a minute", () => {
  const { lines, log } = recorded();
  let now = 0;
  const diag = createDiagLog(log, () => now);
  diag.warn("Dropped 17 spans because maxQueueSize reached");
  now = 59_999;
  diag.warn("Dropped 2048 spans because maxQueueSize reached");
  expect(lines).toEqual(["warn: opentelemetry: Dropped 17 spans because maxQueueSize reached"]);
  now = 60_000;
  diag.warn("Dropped 5 spans because maxQueueSize reached");
  expect(lines).toHaveLength(2);
});

test("the number of kinds of messages that are remembered is bounded", () => {
  const { lines, log } = recorded();
  const diag = createDiagLog(log, () => 0);
  for (let i = 0; i < 1000; i++) diag.error(`kind ${"x".repeat(i)}`);
  expect(lines).toHaveLength(100);
});

test("errors are shown by their message, and whole objects are left out", () => {
  const { lines, log } = recorded();
  const diag = createDiagLog(log, () => 0);
  diag.error("exporter", new Error("it broke"), { spans: ["secret"] }, 3);
  diag.verbose("detail");
  expect(lines).toEqual([
    "error: opentelemetry: exporter it broke 3",
    // Our own log shows nothing below: who asked the SDK for details is to see them.
    "info: opentelemetry: detail",
  ]);
});
