import { describe, expect, test } from "bun:test";
import { GrowthWatch } from "./growth.ts";
import { isCalm } from "./phase.ts";
import type { SoakMinute } from "./soak-minute.ts";

const MB = 1024 * 1024;

interface By {
  readonly master?: number;
  readonly worker?: number;
  readonly descriptors?: number;
  /** Of a worker's memory, up and down. */
  readonly noise?: number;
}

/** Minutes of a run in which connections come, and these grow, each minute by as much. */
function minutes(count: number, by: By): SoakMinute[] {
  // Rough minutes end the lives of workers.
  let born = 0;
  return Array.from({ length: count }, (_, index) => {
    const calm = isCalm(index + 1, count);
    if (!calm) born = index + 1;
    const noise = index % 3 === 0 ? (by.noise ?? 0) : 0;
    return {
      minute: index + 1,
      calm,
      requests: 1000,
      failures: new Map(),
      disturbances: new Map(),
      master: { pid: 1, rssBytes: 60 * MB + index * (by.master ?? 0), descriptors: 15 },
      workers: [2, 3].map((place) => ({
        pid: 10 * born + place,
        rssBytes: 80 * MB + (index - born) * (by.worker ?? 0) + noise,
        descriptors: 30 + index * (1 + (by.descriptors ?? 0)),
      })),
      connections: 2 * index,
      counters: {},
    };
  });
}

function findGrowth(run: readonly SoakMinute[]): string[] {
  const watch = new GrowthWatch();
  return [...run.flatMap((minute) => watch.add(minute)), ...watch.end()];
}

describe("growth", () => {
  test("of a little is none, nor is that of connections, nor a heap that breathes", () => {
    const little = { master: MB / 2, worker: MB, descriptors: 0.2, noise: 30 * MB };
    expect(findGrowth(minutes(60, little))).toEqual([]);
  });

  test("of the master's memory is found", () => {
    expect(findGrowth(minutes(60, { master: 2 * MB }))).toEqual([
      "memory of the master grew by 100.0 MB, from 68.0 MB to 168.0 MB; allowed is 40.0 MB",
    ]);
  });

  test("of the memory of workers is found in the minutes in which they live", () => {
    const found = findGrowth(minutes(40, { worker: 6 * MB, noise: 10 * MB }));
    const inMinutes = (first: number, last: number, pid: number) =>
      expect.stringContaining(`minutes ${first} to ${last}: memory of worker process ${pid} grew`);
    expect(found).toEqual([
      inMinutes(6, 20, 52),
      inMinutes(6, 20, 53),
      inMinutes(26, 40, 252),
      inMinutes(26, 40, 253),
    ]);
  });

  test("of descriptors is found", () => {
    expect(findGrowth(minutes(60, { descriptors: 2 }))).toEqual([
      expect.stringContaining("descriptors of the workers that are no connection grew"),
    ]);
  });

  test("of the master is found after two days as after an hour", () => {
    expect(findGrowth(minutes(48 * 60, { master: MB / 50 }))).toHaveLength(1);
  });

  test("is not looked for in one minute alone", () => {
    expect(findGrowth(minutes(1, { worker: 300 * MB }))).toEqual([]);
  });

  test("cannot be looked for in a worker that ended", () => {
    const run = minutes(8, {}).map((minute) =>
      minute.minute < 6 ? minute : { ...minute, workers: minute.workers.slice(1) },
    );
    expect(findGrowth(run)).toEqual(["worker process 22 was left alone and ended"]);
  });
});

describe("workers are left alone", () => {
  const calmOf = (count: number): number =>
    Array.from({ length: count }, (_, index) => isCalm(index + 1, count)).filter(Boolean).length;

  test("in three quarters of a long run", () => {
    expect(calmOf(60)).toBe(45);
    expect(calmOf(20)).toBe(15);
  });

  test("in a run of ten minutes for seven", () => {
    expect(calmOf(10)).toBe(7);
  });

  test("in a short run not at all", () => {
    expect(calmOf(2)).toBe(0);
    expect(calmOf(7)).toBe(0);
  });
});
