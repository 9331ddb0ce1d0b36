import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatJson } from "../../../src/telemetry/access-log/format-json.ts";
import { formatText } from "../../../src/telemetry/access-log/format-text.ts";
import type { AccessRecord } from "../../../src/telemetry/access-log/record.ts";

const SAMPLE: AccessRecord = {
  time: "2026-11-22T15:04:05.678Z",
  level: "error",
  requestId: "1-2-3",
  traceId: null,
  spanId: null,
  client: "192.0.2.7",
  method: "GET",
  host: "shop.example",
  path: "/cart",
  query: "item=7",
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

/** What tries to end a line, to end a JSON text, to move a cursor, and to look like something else. */
const NASTY = [
  "\r\n",
  '"',
  '","status":200,"x":"',
  "\\",
  "\u001b[2J\u001b[31m",
  "\u0000",
  "\u007f",
  "\u009b2J",
  "\u2028",
  "\u202e",
  " status=200",
  "é",
  "\ud800",
];
const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.array(fc.constantFrom(...NASTY, "a"), { maxLength: 8 }).map((parts) => parts.join("")),
);
const anyRecord: fc.Arbitrary<AccessRecord> = fc.record({
  ...(Object.fromEntries(
    Object.entries(SAMPLE).map(([key, value]) => [key, fc.constant(value)]),
  ) as { [K in keyof AccessRecord]: fc.Arbitrary<AccessRecord[K]> }),
  requestId: anyText,
  client: fc.option(anyText),
  method: anyText,
  host: anyText,
  path: anyText,
  query: fc.option(anyText),
  headers: fc.dictionary(fc.constantFrom("user-agent", "referer", "x-a"), anyText),
});

describe("a line of JSON", () => {
  test("gives back exactly what was put in, whatever a client sends", () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        const line = formatJson(record);
        expect(line).toMatch(/^\{[\x20-\x7e]*\}$/);
        // Null prototypes of fast-check's dictionaries are no difference.
        const { message, ...rest } = JSON.parse(line);
        expect(message).toBe("request");
        expect(rest).toEqual(JSON.parse(JSON.stringify(record)));
        expect(rest).toEqual({ ...record, headers: { ...record.headers } });
      }),
      { seed: 20_261_122, numRuns: 1000 },
    );
  });

  test("begins as the other lines on stderr do", () => {
    expect(formatJson(SAMPLE)).toStartWith(
      '{"time":"2026-11-22T15:04:05.678Z","level":"error","message":"request","requestId":"1-2-3"',
    );
  });
});

describe("a line for people", () => {
  test("shows what there is", () => {
    expect(formatText(SAMPLE).replace(/^\d\d:\d\d:\d\d /, "")).toBe(
      "502 GET shop.example/cart?item=7 12.345ms client=192.0.2.7 pool=web backend=10.0.0.1:3000 " +
        "attempts=2 strategy=least-connections@1a2b3c bytes=0/31 ended=backend/head error=reset id=1-2-3",
    );
  });

  test("holds no control characters, and nothing that a client sends looks like a field", () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        const line = formatText(record);
        expect(line).toMatch(/^[\x20-\x7e]+$/);
        // Outside of quotes there are as many fields as there were before.
        const bare = line.replace(/"(?:[^"\\]|\\.)*"/g, '""');
        const names = [...bare.matchAll(/ ([a-zA-Z-]+)=/g)].map(([, name]) => name);
        expect(names).toEqual(expectedNames(record));
      }),
      { seed: 20_261_122, numRuns: 1000 },
    );
  });
});

function expectedNames(record: AccessRecord): string[] {
  return [
    ...(record.client === null ? [] : ["client"]),
    "pool",
    "backend",
    "attempts",
    "strategy",
    "bytes",
    "ended",
    "error",
    "id",
    ...Object.keys(record.headers),
  ];
}
