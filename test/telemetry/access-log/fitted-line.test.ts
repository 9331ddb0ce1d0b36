import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fittedLine } from "../../../src/telemetry/access-log/fitted-line.ts";
import { formatJson } from "../../../src/telemetry/access-log/format-json.ts";
import { formatText } from "../../../src/telemetry/access-log/format-text.ts";
import type { AccessRecord } from "../../../src/telemetry/access-log/record.ts";

const RECORD: AccessRecord = {
  time: "2026-11-22T15:04:05.678Z",
  level: "error",
  requestId: "1-2-3",
  traceId: "5b8efff798038103d269b633813fc60c",
  spanId: "eee19b7ec3c1b174",
  client: "192.0.2.7",
  method: "GET",
  host: "shop.example",
  path: "/cart",
  query: null,
  status: 502,
  requestBytes: 0,
  responseBytes: 31,
  durationMs: 12.345,
  firstByteMs: null,
  pool: "web",
  backend: "10.0.0.1:3000",
  attempts: 2,
  strategy: "least-connections",
  strategyVersion: "1a2b3c",
  endedBy: "backend",
  phase: "head",
  error: "reset",
  headers: {},
};

function fitted(changed: Partial<AccessRecord>, longest = 4096): AccessRecord {
  const line = fittedLine({ ...RECORD, ...changed }, formatJson, longest);
  expect(line.length).toBeLessThanOrEqual(longest);
  expect(line.indexOf("\n")).toBe(line.length - 1);
  const { message, ...record } = JSON.parse(line);
  expect(message).toBe("request");
  return record;
}

describe("a line that fits", () => {
  test("is whole and says nothing of it", () => {
    expect(fitted({ path: "/".repeat(3000) })).toEqual({ ...RECORD, path: "/".repeat(3000) });
  });

  test("so is any line where no limit is", () => {
    const long = { ...RECORD, path: "p".repeat(100_000) };
    expect(fittedLine(long, formatJson, Number.POSITIVE_INFINITY)).toBe(`${formatJson(long)}\n`);
  });
});

describe("a line that is too long", () => {
  test("loses the end of its longest value, and names it", () => {
    const path = "/p".repeat(6000);
    const record = fitted({ path, query: "a=b" });
    expect(record).toEqual({
      ...RECORD,
      path: path.slice(0, 2048),
      query: "a=b",
      truncated: ["path"],
    });
  });

  test("loses the ends of several, header fields among them", () => {
    const record = fitted({
      path: "p".repeat(4000),
      query: "q".repeat(4000),
      headers: { referer: "r".repeat(4000), "user-agent": "curl" },
    });
    expect(record.truncated).toEqual(["path", "query", "headers.referer"]);
    expect(record.headers["user-agent"]).toBe("curl");
    expect(record.path.length).toBeGreaterThanOrEqual(512);
  });

  test("counts what escapes take up", () => {
    const record = fitted({ path: "\u202e".repeat(4000) });
    expect(record.truncated).toEqual(["path"]);
    expect(record.path).toBe("\u202e".repeat(341));
  });

  test("leaves out header fields of which only the names are too long", () => {
    const names = Array.from({ length: 200 }, (_, i) => `x-a-rather-long-name-${i}`);
    const headers = Object.fromEntries(names.map((name) => [name, "1"]));
    expect(fitted({ headers })).toEqual({ ...RECORD, headers: {}, truncated: ["headers"] });
  });

  test("says in text, too, what is missing", () => {
    const line = fittedLine({ ...RECORD, path: "p".repeat(9000) }, formatText, 4096);
    expect(line.length).toBeLessThanOrEqual(4096);
    expect(line).toEndWith(" truncated=path\n");
  });
});

test("whatever is in it, it fits, and can be read", () => {
  const long = fc
    .tuple(fc.constantFrom("a", '"', "\\", "\n", "é", "\u202e", "\ud800a"), fc.nat(2000))
    .map(([part, count]) => part.repeat(count));
  const changes = fc.record({
    requestId: long,
    method: long,
    host: long,
    path: long,
    query: fc.option(long),
    backend: fc.option(long),
    headers: fc.dictionary(fc.stringMatching(/^[a-z-]{1,40}$/), long, { maxKeys: 20 }),
  });
  fc.assert(
    fc.property(changes, (changed) => {
      fitted(changed);
      const line = fittedLine({ ...RECORD, ...changed }, formatText, 4096);
      expect(line.length).toBeLessThanOrEqual(4096);
    }),
    { seed: 20_261_122, numRuns: 60 },
  );
});
