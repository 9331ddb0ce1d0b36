import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundleModule } from "../../src/config/bundle.ts";
import type { StrategyPlugin } from "../../src/plugin.ts";
import { evaluateStrategy } from "../../src/strategy/evaluate.ts";
import { loadPlugin } from "../../src/strategy/load.ts";

/** Bundles, tries and loads a strategy file, as a user's is. */
export async function loadStrategyFile(
  file: string,
  options?: unknown,
): Promise<StrategyPlugin<unknown>> {
  const folder = await mkdtemp(join(tmpdir(), "leastwise-strategy-"));
  try {
    const module = { kind: "file", source: file, ...(await bundleModule(file, folder)) } as const;
    await evaluateStrategy(module, options);
    return await loadPlugin(module);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
