import { describe, expect, test } from "bun:test";
import { readFromWorker } from "../../src/process/messages.ts";

const problems = [{ path: "a", message: "b" }];
const pools = { web: { faults: 0, quarantined: false } };

describe("a message of a worker", () => {
  const real: readonly object[] = [
    { type: "started", version: "1.0.0" },
    { type: "prepared", generation: 1 },
    { type: "committed", generation: 1 },
    { type: "refused", generation: 1, problems, atRunTime: false },
    { type: "failing", row: 0 },
    { type: "trial", row: 3, trial: 17, ok: false },
    { type: "report", id: 1, report: { pendingRequests: 0, clientConnections: 3, pools } },
    { type: "report", id: 2, report: { pendingRequests: 0, clientConnections: null, pools } },
    {
      type: "exports",
      worker: 1,
      report: { signal: "traces", ok: false, reason: "refused", hint: null, lost: 0 },
    },
  ];
  test.each(real.map((message) => [message]))("is taken: %j", (message) => {
    expect(readFromWorker(message)).toBe(message as never);
  });
});

describe("what a strategy may send in its place", () => {
  const forged: readonly unknown[] = [
    null,
    undefined,
    7,
    "prepared",
    [],
    {},
    { type: "constructor" },
    { type: "started" },
    { type: "failing" },
    { type: "failing", row: -1 },
    { type: "failing", row: 0.5 },
    { type: "failing", row: Number.NaN },
    { type: "trial", row: 0, trial: 16 },
    { type: "trial", row: 0, ok: true },
    { type: "trial", row: 0, trial: -1, ok: true },
    { type: "prepared" },
    { type: "committed", generation: "1" },
    { type: "refused", generation: 1, atRunTime: true, problems: null },
    { type: "refused", generation: 1, atRunTime: true, problems: [null] },
    { type: "refused", generation: 1, atRunTime: true, problems: [{ path: "a", message: 1 }] },
    { type: "refused", generation: 1, problems },
    { type: "report", id: 1, report: null },
    { type: "exports", worker: 1, report: null },
    {
      type: "exports",
      worker: -1,
      report: { signal: "traces", ok: false, reason: "refused", hint: null, lost: 0 },
    },
    {
      type: "exports",
      worker: 1,
      report: { signal: "logs", ok: true, reason: null, hint: null, lost: 0 },
    },
    {
      type: "exports",
      worker: 1,
      report: { signal: "traces", ok: true, reason: 7, hint: null, lost: 0 },
    },
    {
      type: "exports",
      worker: 1,
      report: { signal: "traces", ok: true, reason: null, hint: null, lost: -1 },
    },
    { type: "report", id: 1, report: { pendingRequests: "0", clientConnections: 0, pools } },
    { type: "report", id: 1, report: { pendingRequests: 0, clientConnections: -1, pools } },
    { type: "report", id: 1, report: { pendingRequests: 0, clientConnections: 0, pools: null } },
    {
      type: "report",
      id: 1,
      report: { pendingRequests: 0, clientConnections: 0, pools: { web: null } },
    },
    {
      type: "report",
      id: 1,
      report: { pendingRequests: 0, clientConnections: 0, pools: { web: { faults: 0 } } },
    },
  ];
  test.each(forged.map((message) => [message]))("is not taken: %j", (message) => {
    expect(readFromWorker(message)).toBeNull();
  });
});
