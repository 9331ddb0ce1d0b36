import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { RuntimeError } from "../errors.ts";
import type { PlannedStrategy } from "./messages.ts";

/** Of one bundle. */
const MOST_BYTES = 64 * 2 ** 20;

/**
 * The bundles that workers import, kept in memory as well: what cleans temp folders must not be
 * able to keep a dead worker from being replaced.
 */
export class StrategyFiles {
  readonly #texts = new Map<string, string>();

  /** Keeps the files of these strategies and forgets all others. Throws when a new one cannot be read. */
  keep(strategies: Iterable<PlannedStrategy>): void {
    const before = new Map(this.#texts);
    this.#texts.clear();
    for (const { module } of strategies) {
      if (module.kind !== "file") continue;
      const { path } = module;
      this.#texts.set(path, before.get(path) ?? readBundle(path));
      // The bundler's; it keeps others from having a say when the bundle is imported.
      const settings = join(dirname(path), "tsconfig.json");
      const text = before.get(settings);
      if (text !== undefined) this.#texts.set(settings, text);
      else if (existsSync(settings)) this.#texts.set(settings, readFileSync(settings, "utf8"));
    }
  }

  /** Removes bundles from that folder that are not kept: each edit of a file has left one. */
  removeOthers(folder: string): void {
    // Whoever cleaned the folder away did the same.
    if (!existsSync(folder)) return;
    refuseForeign(folder);
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      if (name.endsWith(".mjs") && !this.#texts.has(path)) rmSync(path, { force: true });
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

/** The path is the answer of a process in which the user's code ran: a pipe would hold the master for ever. */
function readBundle(path: string): string {
  const { size } = lstatSync(path);
  if (!lstatSync(path).isFile() || size > MOST_BYTES) {
    throw new RuntimeError(
      `${path}: a bundle is a regular file of at most ${MOST_BYTES >> 20} MiB`,
    );
  }
  return readFileSync(path, "utf8");
}

function refuseForeign(folder: string): void {
  const { uid, mode } = lstatSync(folder);
  // Windows has neither.
  const own = process.geteuid === undefined || (uid === process.geteuid() && (mode & 0o077) === 0);
  if (!own || !lstatSync(folder).isDirectory()) {
    throw new RuntimeError(`${folder}, where the strategies were, is not ours any more`);
  }
}
