import { expect, test } from "bun:test";
import { TransitionLog } from "../../src/process/transition-log.ts";
import { RecordedLog } from "../_support/recorded-log.ts";
import { VirtualClock } from "../_support/virtual-clock.ts";

test("a backend that flaps is announced once, then counted, and others are still logged", () => {
  const clock = new VirtualClock();
  const log = new RecordedLog();
  const transitions = new TransitionLog(log, clock.now);
  for (let change = 0; change < 100; change++) {
    transitions.write("warn", "backend is down", "a", { pool: "web" });
  }
  transitions.write("info", "backend is up", "b", { pool: "web" });
  expect(log.messages).toEqual([
    ...Array.from({ length: 5 }, () => "backend is down"),
    "backend changes too often, its next changes are only counted",
    "backend is up",
  ]);
  clock.nowMs = 60_000;
  transitions.write("info", "backend is up", "a", { pool: "web" });
  transitions.write("warn", "backend is down", "a", { pool: "web" });
  expect(log.lines.slice(-2)).toEqual([
    {
      level: "info",
      message: "backend is up",
      fields: { pool: "web", backend: "a", changesNotLogged: 95 },
    },
    { level: "warn", message: "backend is down", fields: { pool: "web", backend: "a" } },
  ]);
});
