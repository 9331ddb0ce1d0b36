import consistentHash from "../../plugins/consistent-hash.ts";
import leastConnections from "../../plugins/least-connections.ts";
import leastTime from "../../plugins/least-time.ts";
import p2c from "../../plugins/p2c.ts";
import peakEwma from "../../plugins/peak-ewma.ts";
import random from "../../plugins/random.ts";
import roundRobin from "../../plugins/round-robin.ts";
import type { StrategyPlugin } from "../plugin.ts";

/** Imported like any other module, so that they are in the binary; used through the same door as files. */
export const builtIns: readonly StrategyPlugin<unknown>[] = [
  leastConnections,
  roundRobin,
  random,
  p2c,
  peakEwma,
  leastTime,
  consistentHash,
];

export const builtInNames: readonly string[] = builtIns.map((plugin) => plugin.name);

/** Undefined when no built-in has that name. */
export function findBuiltIn(name: string): StrategyPlugin<unknown> | undefined {
  return builtIns.find((plugin) => plugin.name === name);
}
