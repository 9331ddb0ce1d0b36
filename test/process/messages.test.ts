import { describe, expect, test } from "bun:test";
import { readFromWorker } from "../../src/process/messages.ts";

const problems = [{ path: "a", message: "b" }];
const pools = { web: { faults: 0, quarantined: false } };
const decision = {
  at: "2026-01-01T00:00:00.000Z",
  worker: 0,
  pool: "web",
  traceId: null,
  attempt: 1,
  strategy: { name: "mine", version: "1" },
  decidedBy: "score",
  chosen: "a",
  fallback: false,
  tie: false,
  failOpen: false,
  pickMs: 0.1,
  candidates: [{ id: "a", url: "http://a", inFlight: 0, weight: 1, labels: {}, score: "Infinity" }],
  excluded: [{ id: "b", reason: "down" }],
  leftOut: 0,
  request: {
    method: "GET",
    host: "a",
    path: "/",
    query: "",
    clientAddress: "",
    headers: { "x-a": null },
    withheld: [],
  },
};
const instance = { name: "mine", quarantined: false, nowMs: 1.5, bytes: null, tooLarge: 0 };

function told(change: object): object {
  return {
    type: "answer",
    id: 1,
    answer: { about: "decisions", decisions: [{ ...decision, ...change }] },
  };
}

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
    { type: "pong", id: 3 },
    {
      type: "exports",
      worker: 1,
      report: { signal: "traces", ok: false, reason: "refused", hint: null, lost: 0 },
    },
    told({}),
    { type: "answer", id: 2, answer: { about: "decisions", decisions: [] } },
    { type: "answer", id: 3, answer: { about: "instance", instance: null } },
    { type: "answer", id: 4, answer: { about: "instance", instance } },
    {
      type: "answer",
      id: 5,
      answer: { about: "instance", instance: { ...instance, bytes: new Uint8Array(3) } },
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
    { type: "answer", id: 1 },
    { type: "answer", id: -1, answer: { about: "instance", instance } },
    { type: "answer", id: 1, answer: { about: "decisions" } },
    { type: "answer", id: 1, answer: { about: "decisions", decisions: [null] } },
    told({ at: 7 }),
    told({ strategy: null }),
    told({ attempt: "1" }),
    told({ tie: null }),
    told({ candidates: [null] }),
    told({ candidates: [{ ...decision.candidates[0], score: "low" }] }),
    told({ candidates: [{ ...decision.candidates[0], labels: { zone: 7 } }] }),
    told({ excluded: [{ id: "b" }] }),
    told({ request: { ...decision.request, headers: { "x-a": 7 } } }),
    told({ request: { ...decision.request, withheld: [7] } }),
    { type: "answer", id: 1, answer: { about: "instance" } },
    {
      type: "answer",
      id: 1,
      answer: { about: "instance", instance: { ...instance, nowMs: null } },
    },
    { type: "answer", id: 1, answer: { about: "instance", instance: { ...instance, bytes: [1] } } },
    { type: "pong", id: "1" },
    { type: "failed" },
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
