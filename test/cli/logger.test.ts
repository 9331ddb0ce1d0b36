import { describe, expect, test } from "bun:test";
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

describe("on a terminal", () => {
  /** The lines that a terminal gets, at 03:04:05 by its own clock. */
  function shown(
    use: (log: ReturnType<typeof createLogger>) => void,
    env: Readonly<Record<string, string>> = { NO_COLOR: "1" },
  ): string {
    let text = "";
    const write = (piece: string) => {
      text += piece;
    };
    use(
      createLogger({
        stream: { write, isTTY: true },
        env,
        now: () => new Date(2026, 0, 2, 3, 4, 5),
      }),
    );
    return text;
  }

  test("every event is one line, and their parts stand below each other", () => {
    const text = shown((log) => {
      log.info("ready", { listen: "127.0.0.1:80, [::1]:80", workers: 2, config: null });
      log.warn("backend is down", { backend: "a:1" });
      log.error("stopped");
    });
    expect(text.split("\n")).toEqual([
      '03:04:05 info  ready                        listen="127.0.0.1:80, [::1]:80" workers=2',
      "03:04:05 warn  backend is down              backend=a:1",
      "03:04:05 error stopped",
      "",
    ]);
  });

  test("what others say stays in its line and does not reach for the terminal", () => {
    const text = shown((log) =>
      log.warn("first\n   second\u001b[2J", { reason: "a\u001b[31m\nb", id: "\u009b2J" }),
    );
    expect(text).toBe(
      `03:04:05 warn  first second\\u001b[2J        reason="a\\u001b[31m b" id=\\u009b2J\n`,
    );
  });

  test("colours can be switched off, and say the same", () => {
    const say = (log: ReturnType<typeof createLogger>) => log.warn("x", { backend: "a:1" });
    const coloured = shown(say, {});
    expect(coloured).toContain("\u001b[33m");
    expect(Bun.stripANSI(coloured)).toBe(shown(say));
    expect(shown(say, { TERM: "dumb" })).toBe(shown(say));
  });

  test("debug lines are left out", () => {
    expect(shown((log) => log.debug("x"))).toBe("");
  });
});
