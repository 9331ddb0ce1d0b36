import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { warnOfLostConnections } from "../../src/process/lost-connections.ts";
import { RecordedLog } from "../_support/recorded-log.ts";

let proc: string;
let log: RecordedLog;

beforeEach(() => {
  proc = mkdtempSync(join(tmpdir(), "leastwise-test-"));
  log = new RecordedLog();
});

afterEach(() => rmSync(proc, { recursive: true, force: true }));

function set(value: string): void {
  const folder = join(proc, "sys/net/ipv4");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "tcp_migrate_req"), value);
}

test("a kernel that resets what waits at a closing listener: how to change that is said", () => {
  set("0\n");
  warnOfLostConnections(log, proc);
  expect(log.lines).toMatchObject([
    { level: "info", fields: { hint: "sysctl -w net.ipv4.tcp_migrate_req=1" } },
  ]);
});

test("a kernel that hands it over: nothing is said", () => {
  set("1\n");
  warnOfLostConnections(log, proc);
  expect(log.lines).toEqual([]);
});

test("a system without the setting: nothing is said, since nothing can be done", () => {
  warnOfLostConnections(log, proc);
  expect(log.lines).toEqual([]);
});
