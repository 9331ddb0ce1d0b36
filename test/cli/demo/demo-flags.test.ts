import { describe, expect, test } from "bun:test";
import { parseDemoFlags } from "../../../src/cli/demo/demo-flags.ts";
import { ConfigError } from "../../../src/errors.ts";

const good = { duration: "20s", "warm-up": "4s", seed: "1", "max-lag": "50ms" };

describe("the demo's flags", () => {
  test("durations become milliseconds, the seed a number", () => {
    expect(parseDemoFlags(good)).toEqual({
      spikeMs: 20_000,
      baselineMs: 4000,
      seed: 1,
      maxLagMs: 50,
    });
  });

  test("the normal load may be left out", () => {
    expect(parseDemoFlags({ ...good, "warm-up": "0s" }).baselineMs).toBe(0);
  });

  test("every mistake is told at once, with what was found and what is allowed", () => {
    const parse = () =>
      parseDemoFlags({ duration: "20", "warm-up": "2h", seed: "-1", "max-lag": "" });
    expect(parse).toThrow(ConfigError);
    expect(parse).toThrow(
      [
        '--seed: found "-1", allowed a whole number from 0 to 2147483647',
        '--warm-up: found "2h", allowed a duration from "0s" to "1m"',
        '--duration: found "20", allowed a duration from "1s" to "10m"',
        '--max-lag: found "", allowed a duration from "1ms" to "1m"',
      ].join("\n"),
    );
  });

  test("a spike of less than a second is refused", () => {
    expect(() => parseDemoFlags({ ...good, duration: "999ms" })).toThrow("--duration");
  });
});
