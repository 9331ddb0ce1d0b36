import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfigFile } from "../../src/config/load.ts";
import { resolveConfig } from "../../src/config/resolve.ts";
import type { Backend, StrategyPlugin } from "../../src/plugin.ts";
import { PoolBackend } from "../../src/pool/backend.ts";
import { Counters, countersLength } from "../../src/pool/counters.ts";
import { builtInNames } from "../../src/strategy/built-in.ts";
import { Rehearsal } from "../../src/strategy/rehearsal.ts";
import { strategySuite } from "../../src/strategy/suite.ts";
import { loadStrategyFile } from "../_support/strategy-file.ts";

const examples = join(import.meta.dir, "../../examples");

function keepsEveryPromise(plugin: StrategyPlugin<unknown>, options?: unknown): void {
  const suite = strategySuite(plugin, options);
  expect(suite.length).toBeGreaterThan(10);
  for (const { run } of suite) run();
}

describe("examples/ten-line-strategy", () => {
  const file = join(examples, "ten-line-strategy/coin-toss.ts");

  test("keeps every strategy's promises", async () => {
    keepsEveryPromise(await loadStrategyFile(file));
  });

  test("takes the less busy one of two", async () => {
    const plugin = await loadStrategyFile(file);
    const rehearsal = new Rehearsal({ plugin, weights: [1, 1] });
    const [busy] = rehearsal.backends as [Backend];
    rehearsal.start(busy);
    const picks = Array.from({ length: 400 }, () => rehearsal.pick().backend);
    // Only when it draws the busy one twice.
    const share = picks.filter((backend) => backend === busy).length;
    expect(share).toBeGreaterThan(60);
    expect(share).toBeLessThan(140);
  });
});

describe("examples/same-zone-first", () => {
  const folder = join(examples, "same-zone-first");
  const file = join(folder, "same-zone-first.ts");

  test("keeps every strategy's promises", async () => {
    const options = { zone: "a" };
    keepsEveryPromise(await loadStrategyFile(file, options), options);
  });

  test("says what is wrong with its options", async () => {
    const plugin = await loadStrategyFile(file, { zone: "a" });
    const wrong: readonly (readonly [options: unknown, message: string])[] = [
      [undefined, 'expected options like { zone: "a" }'],
      [{ zone: "" }, "zone must be the name of a zone"],
      [{ zone: "a", full: 0 }, "full must be a number above 0"],
      [{ zone: "a", ful: 5 }, "there is no option ful, only zone and full"],
    ];
    for (const [options, message] of wrong) {
      expect(() => new Rehearsal({ plugin, options, weights: [1] })).toThrow(message);
    }
  });

  test("has a config whose other zone helps when the first is full", async () => {
    const tempDir = await mkdtemp(join(tmpdir(), "leastwise-example-"));
    const loaded = await readConfigFile({ cwd: folder, tempDir });
    await rm(tempDir, { recursive: true, force: true });
    const context = { baseDir: folder, cpus: 1, platform: "linux", strategies: builtInNames };
    const config = resolveConfig(loaded?.raw, context).pools[0];
    if (config?.strategy.kind !== "file") throw new Error("expected a strategy file");
    expect(config.strategy.file).toBe(file);

    const { options } = config.strategy;
    const shape = { rows: 2, workers: 1 };
    const counters = new Counters(new Int32Array(countersLength(shape)), shape);
    const backends = config.backends.map((backend, row) => new PoolBackend(backend, counters, row));
    const [home, abroad] = backends as [PoolBackend, PoolBackend];
    const plugin = await loadStrategyFile(file, options);
    const rehearsal = new Rehearsal({ plugin, options, weights: [1] });
    rehearsal.host.setBackends(backends);
    for (let index = 0; index < 20; index++) {
      expect(rehearsal.pick(backends).backend).toBe(home);
      counters.addInFlight(0, 0, 1);
    }
    counters.addInFlight(0, 0, 1);
    expect(rehearsal.pick(backends).backend).toBe(abroad);
  });
});

describe("examples/fastest-answer", () => {
  const file = join(examples, "fastest-answer/fastest-answer.ts");

  /** Sends requests one at a time to a first backend that takes 10 times as long as the second. */
  function send(rehearsal: Rehearsal, requests: number): number {
    const [slow] = rehearsal.backends;
    let slowPicks = 0;
    for (let index = 0; index < requests; index++) {
      const { backend } = rehearsal.pick();
      if (backend === null) throw new Error("expected an answer");
      const attempt = rehearsal.start(backend);
      rehearsal.nowMs += backend === slow ? 500 : 50;
      rehearsal.end(attempt);
      if (backend === slow) slowPicks++;
    }
    return slowPicks;
  }

  test("keeps every strategy's promises", async () => {
    keepsEveryPromise(await loadStrategyFile(file));
  });

  test("leaves a slow backend alone once it knows it", async () => {
    const plugin = await loadStrategyFile(file);
    const rehearsal = new Rehearsal({ plugin, weights: [1, 1] });
    send(rehearsal, 20);
    expect(send(rehearsal, 100)).toBe(0);
  });

  test("tries a slow backend again after a while", async () => {
    const plugin = await loadStrategyFile(file);
    const rehearsal = new Rehearsal({ plugin, weights: [1, 1] });
    const slowPicks = send(rehearsal, 5000);
    expect(slowPicks).toBeGreaterThan(5);
    expect(slowPicks).toBeLessThan(50);
  });

  test("does not take failing fast for being fast", async () => {
    const plugin = await loadStrategyFile(file);
    const rehearsal = new Rehearsal({ plugin, weights: [1, 1] });
    const [failing] = rehearsal.backends;
    let failures = 0;
    for (let index = 0; index < 100; index++) {
      const { backend } = rehearsal.pick();
      if (backend === null) throw new Error("expected an answer");
      const attempt = rehearsal.start(backend);
      rehearsal.nowMs += backend === failing ? 1 : 50;
      rehearsal.end(attempt, backend === failing ? "connect" : "ok");
      if (backend === failing) failures++;
    }
    expect(failures).toBeLessThanOrEqual(2);
  });

  test("hands what it learned to its next version", async () => {
    const plugin = await loadStrategyFile(file);
    const first = new Rehearsal({ plugin, weights: [1, 1] });
    send(first, 500);
    const previous = { name: plugin.name, snapshot: first.host.takeSnapshot() };
    let informed = 0;
    let fresh = 0;
    for (let seed = 0; seed < 20; seed++) {
      informed += send(new Rehearsal({ plugin, weights: [1, 1], seed, previous }), 20);
      fresh += send(new Rehearsal({ plugin, weights: [1, 1], seed }), 20);
    }
    expect(informed).toBe(0);
    expect(fresh).toBeGreaterThan(5);
  });
});
