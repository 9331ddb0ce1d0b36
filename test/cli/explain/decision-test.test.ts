import { expect, test } from "bun:test";
import type { RecordedDecision } from "../../../src/admin/recorded-decision.ts";
import { renderDecisionTests } from "../../../src/cli/explain/decision-test.ts";

const DECISION: RecordedDecision = {
  at: "2026-01-02T03:04:05.000Z",
  worker: 0,
  pool: "web",
  traceId: "4bf9",
  attempt: 2,
  strategy: { name: "mine", version: "1" },
  decidedBy: "score",
  chosen: "b",
  fallback: false,
  tie: false,
  failOpen: true,
  pickMs: 0.1,
  candidates: [
    { id: "a", url: "http://a", inFlight: 1, weight: 2, labels: { zone: "b" }, score: 1 },
    { id: "b", url: "http://b", inFlight: 0, weight: 1, labels: {}, score: 0 },
  ],
  excluded: [{ id: "c", reason: "tried" }],
  leftOut: 0,
  request: {
    method: "POST",
    host: "www",
    path: "/x",
    query: "q=1",
    clientAddress: "192.0.2.7",
    headers: { "x-to": "b", "x-none": null },
    withheld: [],
  },
};

test("everything that the pick may have looked at is in the test, and nothing else", () => {
  const proven = {
    decision: DECISION,
    options: { k: 1 },
    previous: [1],
    seeds: null,
    otherVersion: null,
  };
  expect(renderDecisionTests([proven], { traceId: "4bf9", specifier: "./mine.ts" })).toBe(
    `// Written by: leastwise explain --trace 4bf9 --as-test
import { expect, test } from "bun:test";
import { fakeBackends, rehearse } from "leastwise/testing";
import strategy from "./mine.ts";

test("POST /x goes to b: attempt 2 of trace 4bf9, 2026-01-02T03:04:05.000Z", () => {
  const backends = fakeBackends([
    { id: "a", url: "http://a", inFlight: 1, weight: 2, labels: { zone: "b" } },
    { id: "b", url: "http://b", inFlight: 0 },
  ]);
  const request = { method: "POST", host: "www", path: "/x", query: "q=1", clientAddress: "192.0.2.7", headers: { "x-to": "b" } };
  const pool = rehearse(strategy, { backends, options: { k: 1 }, previous: [1] });
  expect(pool.pick(request, { attempt: 2, failOpen: true })?.id).toBe("b");
});
`,
  );
});

test("a refusal is a pick of nobody, by chance as well", () => {
  const decision = { ...DECISION, chosen: null };
  const written = (seeds: number | null): string => {
    const proven = { decision, options: undefined, previous: undefined, seeds, otherVersion: null };
    return renderDecisionTests([proven], { traceId: "4bf9", specifier: "./mine.ts" });
  };
  expect(written(null)).toContain('test("POST /x is refused: attempt 2 of trace 4bf9, ');
  expect(written(null)).toContain(
    "  expect(pool.pick(request, { attempt: 2, failOpen: true })).toBe(null);\n",
  );
  expect(written(100)).toContain(
    "    return pool.pick(request, { attempt: 2, failOpen: true });\n",
  );
  expect(written(100)).toContain("  expect(picks).toContain(null);\n");
});
