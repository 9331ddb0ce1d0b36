import { describe, expect, test } from "bun:test";
import { findGrowth } from "./growth.ts";
import type { SoakMinute } from "./soak-minute.ts";

const MB = 1024 * 1024;

/** Minutes of a run in which connections come, and these grow, each minute by as much. */
function minutes(
  count: number,
  by: { readonly master?: number; readonly worker?: number; readonly descriptors?: number },
): SoakMinute[] {
  return Array.from({ length: count }, (_, index) => ({
    minute: index + 1,
    requests: 1000,
    failures: new Map(),
    disturbances: new Map(),
    master: { pid: 1, rssBytes: 60 * MB + index * (by.master ?? 0), descriptors: 15 },
    workers: [2, 3].map((pid) => ({
      pid,
      rssBytes: 80 * MB + index * (by.worker ?? 0),
      descriptors: 30 + index * (1 + (by.descriptors ?? 0)),
    })),
    connections: 2 * index,
    counters: {},
  }));
}

describe("growth", () => {
  test("of a little is none, nor is that of connections", () => {
    expect(findGrowth(minutes(60, { master: MB / 2, worker: MB, descriptors: 0.2 }))).toEqual([]);
  });

  test("of the master's memory is found", () => {
    expect(findGrowth(minutes(60, { master: 2 * MB }))).toEqual([
      expect.stringContaining("memory of the master grew"),
    ]);
  });

  test("of the workers' memory and descriptors is found", () => {
    expect(findGrowth(minutes(60, { worker: 3 * MB, descriptors: 2 }))).toEqual([
      expect.stringContaining("memory of a worker grew"),
      expect.stringContaining("descriptors of the workers that are no connection grew"),
    ]);
  });

  test("is not looked for in one minute alone", () => {
    expect(findGrowth(minutes(1, { worker: 300 * MB }))).toEqual([]);
  });
});
