import { existsSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { RuntimeError } from "../errors.ts";
import type { PlannedStrategy } from "./messages.ts";

/**
 * The bundles that workers import, kept in memory as well: what cleans temp folders must not be
 * able to keep a dead worker from being replaced.
 */
export class StrategyFiles {
  readonly #texts = new Map<string, string>();

  /** Keeps the files of these strategies and forgets all others. Throws when one cannot be read. */
  keep(strategies: Iterable<PlannedStrategy>): void {
    this.#texts.clear();
    for (const { module } of strategies) {
      if (module.kind !== "file") continue;
      this.#texts.set(module.path, readFileSync(module.path, "utf8"));
      // The bundler's; it keeps others from having a say when the bundle is imported.
      const settings = join(dirname(module.path), "tsconfig.json");
      if (existsSync(settings)) this.#texts.set(settings, readFileSync(settings, "utf8"));
    }
  }

  /**
   * Writes again what is gone. Throws RuntimeError when the folder's name now belongs to somebody
   * else, who could put code of his own there.
   */
  restore(): void {
    for (const [path, text] of this.#texts) {
      const folder = dirname(path);
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      refuseForeign(folder);
      if (!existsSync(path)) writeFileSync(path, text, { flag: "wx", mode: 0o600 });
    }
  }
}

function refuseForeign(folder: string): void {
  const { uid, mode } = lstatSync(folder);
  // Windows has neither.
  const own = process.geteuid === undefined || (uid === process.geteuid() && (mode & 0o077) === 0);
  if (!own || !lstatSync(folder).isDirectory()) {
    throw new RuntimeError(`${folder}, where the strategies were, is not ours any more`);
  }
}
