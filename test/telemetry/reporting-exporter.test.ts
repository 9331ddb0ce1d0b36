import { expect, test } from "bun:test";
import type { SpanExporter } from "@opentelemetry/sdk-trace";
import type { LogFields, Logger } from "../../src/log.ts";
import { ReportingExporter } from "../../src/telemetry/reporting-exporter.ts";

type Result = Parameters<Parameters<SpanExporter["export"]>[1]>[0];

function setUp(target: string): {
  exports(result: Result): Result[];
  lines: [level: string, message: string, fields: LogFields | undefined][];
} {
  const lines: [string, string, LogFields | undefined][] = [];
  const write = (level: string) => (message: string, fields?: LogFields) =>
    void lines.push([level, message, fields]);
  const log: Logger = {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
  };
  let next: Result = { code: 0 };
  const inner: SpanExporter = { export: (_, done) => done(next), shutdown: async () => {} };
  const exporter = new ReportingExporter(inner, log, target);
  return {
    lines,
    exports(result) {
      next = result;
      const told: Result[] = [];
      exporter.export([], (answer) => told.push(answer));
      return told;
    },
  };
}

test("each outage is reported once, and once that it is over", () => {
  const target = "http://collector:4318/";
  const { exports, lines } = setUp(target);
  const down: Result = {
    code: 1,
    error: Object.assign(new Error("connect failed"), { code: "ECONNREFUSED" }),
  };
  for (let outage = 0; outage < 2; outage++) {
    exports({ code: 0 });
    for (let i = 0; i < 5; i++) exports(down);
    exports({ code: 0 });
  }
  const reported = [
    [
      "warn",
      "spans cannot be exported and are dropped",
      { target, reason: "connect failed (ECONNREFUSED)" },
    ],
    ["info", "spans are exported again", { target, lostSpans: 0 }],
  ];
  expect<unknown>(lines).toEqual([...reported, ...reported]);
});

test("the batch processor hears of success, or it would log each batch", () => {
  const { exports } = setUp("console");
  expect(exports({ code: 1 })).toEqual([{ code: 0 }]);
});

test("HTTP sent to port 4317 is named as the likely mistake", () => {
  const { exports, lines } = setUp("http://127.0.0.1:4317/");
  exports({ code: 1, error: new Error("socket hang up") });
  expect(lines[0]?.[1]).toBe(
    "spans cannot be exported and are dropped; 4317 is usually the gRPC port, HTTP is on 4318",
  );
});
