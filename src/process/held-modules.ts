import { statSync } from "node:fs";
import type { PlannedStrategy } from "./messages.ts";

/**
 * What a strategy's bundle takes in a worker, besides so many times its size. Measured as the growth of private
 * memory over 200 versions: 47 KB each of 1 KB, 98 KB each of 10 KB, 552 KB each of 100 KB.
 */
const MODULE_BYTES = 48 * 1024;
const TIMES_SIZE = 5.5;

/** Of old versions; from here on it is worth a new worker. Some 110 versions of 10 KB. */
export const MOST_SUPERSEDED_BYTES = 12 * 1024 * 1024;

/** The strategy bundles that a worker has imported: Bun (1.4.5) never frees a module. */
export class HeldModules {
  /** By path, which is another one for each version. */
  readonly #bytes = new Map<string, number>();

  get count(): number {
    return this.#bytes.size;
  }

  add(strategies: Iterable<PlannedStrategy>): void {
    for (const path of pathsOf(strategies)) {
      if (this.#bytes.has(path)) continue;
      const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      this.#bytes.set(path, MODULE_BYTES + TIMES_SIZE * size);
    }
  }

  /** Bytes, as an estimate, of those that are not among these. */
  superseded(current: Iterable<PlannedStrategy>): number {
    const needed = pathsOf(current);
    let bytes = 0;
    for (const [path, each] of this.#bytes) if (!needed.has(path)) bytes += each;
    return bytes;
  }
}

function pathsOf(strategies: Iterable<PlannedStrategy>): Set<string> {
  const paths = new Set<string>();
  for (const { module } of strategies) if (module.kind === "file") paths.add(module.path);
  return paths;
}
