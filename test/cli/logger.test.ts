import { expect, test } from "bun:test";
import { createLogger } from "../../src/cli/logger.ts";

function logged(use: (log: ReturnType<typeof createLogger>) => void): unknown[] {
  const lines: string[] = [];
  const log = createLogger({
    stream: { write: (text) => lines.push(text) },
    env: {},
    now: () => new Date("2026-01-02T03:04:05.678Z"),
  });
  use(log);
  return lines.map((line) => JSON.parse(line));
}

test("away from a terminal every line is one JSON object", () => {
  expect(logged((log) => log.warn('a "quoted"\nmessage', { backend: "a:1", count: 2 }))).toEqual([
    {
      time: "2026-01-02T03:04:05.678Z",
      level: "warn",
      message: 'a "quoted"\nmessage',
      backend: "a:1",
      count: 2,
    },
  ]);
});

test("a field does not pass itself off as the level", () => {
  expect(logged((log) => log.info("x", { level: "error", time: "never" }))).toEqual([
    { time: "2026-01-02T03:04:05.678Z", level: "info", message: "x" },
  ]);
});

test("debug lines are left out", () => {
  expect(logged((log) => log.debug("x"))).toEqual([]);
});
