import { expect, test } from "bun:test";
import { SoakLog } from "./soak-log.ts";

test("deaths and what must never be said are found in a log that comes in pieces", () => {
  const log = new SoakLog();
  log.push('{"message":"worker ended, repl');
  log.push('acing it","worker":1}\n{"message":"the strategy is quarantined","pool":"a"}\n');
  log.push('{"message":"the strategy is quarantined","pool":"b"}\n{"message":"reloaded"}\n');
  expect(log.deaths).toBe(1);
  expect(log.lastDeath).toContain('"worker":1');
  expect([...log.findings.values()]).toEqual([expect.stringContaining('"pool":"a"')]);
});
