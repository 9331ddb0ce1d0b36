import { parseDuration } from "../../config/units.ts";
import { ConfigError, type Problem } from "../../errors.ts";
import type { ScenarioOptions } from "./scenario.ts";

/** The flags of `demo` as they were typed. */
export interface RawDemoFlags {
  readonly duration: string;
  readonly "warm-up": string;
  readonly seed: string;
  readonly "max-lag": string;
}

export interface DemoFlags extends ScenarioOptions {
  readonly maxLagMs: number;
}

const MAX_SEED = 2 ** 31 - 1;

/** @throws {ConfigError} with everything that is wrong. */
export function parseDemoFlags(raw: RawDemoFlags): DemoFlags {
  const problems: Problem[] = [];

  function duration(
    flag: keyof RawDemoFlags,
    minMs: number,
    maxMs: number,
    allowed: string,
  ): number {
    const ms = parseDuration(raw[flag]);
    if (ms !== null && ms >= minMs && ms <= maxMs) return ms;
    problems.push({
      path: `--${flag}`,
      message: `found ${JSON.stringify(raw[flag])}, allowed a duration from ${allowed}`,
    });
    return minMs;
  }

  const seed = /^\d{1,10}$/.test(raw.seed) ? Number(raw.seed) : -1;
  if (seed < 0 || seed > MAX_SEED) {
    problems.push({
      path: "--seed",
      message: `found ${JSON.stringify(raw.seed)}, allowed a whole number from 0 to ${MAX_SEED}`,
    });
  }
  const flags: DemoFlags = {
    seed,
    baselineMs: duration("warm-up", 0, 60_000, '"0s" to "1m"'),
    spikeMs: duration("duration", 1000, 600_000, '"1s" to "10m"'),
    maxLagMs: duration("max-lag", 1, 60_000, '"1ms" to "1m"'),
  };
  if (problems.length > 0) throw new ConfigError(problems);
  return flags;
}
