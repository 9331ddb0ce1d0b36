import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfigFile } from "../../src/config/load.ts";
import { resolveConfig } from "../../src/config/resolve.ts";
import type { StrategyPlugin } from "../../src/plugin.ts";
import { PoolBackend } from "../../src/pool/backend.ts";
import { builtInNames } from "../../src/strategy/built-in.ts";
import { Rehearsal } from "../../src/strategy/rehearsal.ts";
import { loadStrategyFile } from "./strategy-file.ts";

export interface ExamplePool {
  readonly plugin: StrategyPlugin<unknown>;
  /** As the config gives them. */
  readonly options: unknown;
  /** The strategy in its host, with the backends of the config. */
  rehearse(seed?: number): Rehearsal;
}

/** The one pool of an example's config, with its strategy file as a user's is loaded. */
export async function loadExamplePool(folder: string): Promise<ExamplePool> {
  const tempDir = await mkdtemp(join(tmpdir(), "leastwise-example-"));
  const loaded = await readConfigFile({ cwd: folder, tempDir });
  await rm(tempDir, { recursive: true, force: true });
  const context = { baseDir: folder, cpus: 1, platform: "linux", strategies: builtInNames };
  const [pool] = resolveConfig(loaded?.raw, context).pools;
  if (pool?.strategy.kind !== "file") throw new Error("expected a pool with a strategy file");
  const { file, options } = pool.strategy;
  const plugin = await loadStrategyFile(file, options);
  return {
    plugin,
    options,
    rehearse(seed = 1) {
      const rehearsal = new Rehearsal({ plugin, options, weights: [1], seed });
      // The first row is that of the made-up backend that goes.
      rehearsal.backends = pool.backends.map(
        (backend, index) => new PoolBackend(backend, rehearsal.counters, index + 1),
      );
      rehearsal.host.setBackends(rehearsal.backends);
      return rehearsal;
    },
  };
}
