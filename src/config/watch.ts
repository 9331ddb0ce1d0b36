import { createHash } from "node:crypto";
import {
  type FSWatcher,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
  watch as watchFolder,
} from "node:fs";
import { join, parse, resolve, sep } from "node:path";

export interface FileWatchOptions {
  /** Called once for all that changes within a moment. */
  readonly onChange: () => void;
  /** Until it is quiet: editors write in several steps. Default 100. */
  readonly settleMs?: number;
  /** Default 2000. */
  readonly pollMs?: number;
}

/** What is watched, as of the last load. */
export interface WatchedFiles {
  /** Absolute. */
  readonly files: readonly string[];
  /** The load failed, so not all files are known: whatever script or config file changes beside them counts. */
  readonly incomplete: boolean;
}

interface Look {
  /** Hash by file; null: it cannot be read. */
  readonly contents: ReadonlyMap<string, string | null>;
  /** Scripts and config files in the watched folders, each with when it was written; null: nobody has looked yet. */
  readonly around: string | null;
}

interface WatchedFolder {
  readonly watcher: FSWatcher;
  /** A folder that was put in its place is another one. */
  readonly inode: number;
}

/** Of changes that never end, such as a log that is written beside the files. */
const LONGEST_SETTLE_MS = 1000;
const SOURCE = /\.([cm]?[jt]s|json[c5]?|ya?ml|toml)$/;
/** Of what is compared by its content; of a larger file the time of writing must do. */
const MOST_BYTES = 16 * 2 ** 20;
/** As many links in a row as the system follows. */
const MOST_LINKS = 40;

/**
 * Notices when the content of files changes, however it does: written in place, replaced by a rename,
 * or by another target of a link on the way to them, as in Kubernetes. So the folders are watched (a watch on a file
 * is deaf after its first rename), those of links included, and contents are compared. A slow poll finds
 * what nobody tells: changes on network file systems.
 */
export class FileWatch {
  readonly #options: FileWatchOptions;
  readonly #folders = new Map<string, WatchedFolder>();
  readonly #poll: ReturnType<typeof setInterval>;
  #watched: WatchedFiles = { files: [], incomplete: false };
  #last: Look = { contents: new Map(), around: null };
  #settling: { readonly timer: ReturnType<typeof setTimeout>; readonly sinceMs: number } | null =
    null;

  constructor(options: FileWatchOptions) {
    this.#options = options;
    this.#poll = setInterval(() => {
      if (this.#settling === null && this.#differs(this.#look())) this.#settle();
    }, options.pollMs ?? 2000);
  }

  /** These from now on. What changed in them since the last look, during the load, is a change. */
  update(watched: WatchedFiles): void {
    this.#watched = watched;
    this.#watchFolders();
    const now = this.#look();
    const before = this.#last;
    const contents = [...now.contents].map(([file, hash]) => {
      const known = before.contents.get(file);
      return [file, known === undefined ? hash : known] as const;
    });
    this.#last = { contents: new Map(contents), around: before.around ?? now.around };
    if (this.#differs(now)) this.#settle();
  }

  stop(): void {
    clearInterval(this.#poll);
    clearTimeout(this.#settling?.timer);
    for (const { watcher } of this.#folders.values()) watcher.close();
    this.#folders.clear();
  }

  /** Looks when nothing has happened for a moment. */
  #settle(): void {
    const { settleMs = 100 } = this.#options;
    const nowMs = performance.now();
    const sinceMs = this.#settling?.sinceMs ?? nowMs;
    if (nowMs - sinceMs > LONGEST_SETTLE_MS) return;
    clearTimeout(this.#settling?.timer);
    const timer = setTimeout(() => {
      this.#settling = null;
      this.#check();
    }, settleMs);
    this.#settling = { timer, sinceMs };
  }

  #check(): void {
    this.#watchFolders();
    const now = this.#look();
    const differs = this.#differs(now);
    this.#last = now;
    if (differs) this.#options.onChange();
  }

  #differs({ contents, around }: Look): boolean {
    if (this.#watched.incomplete && around !== this.#last.around) return true;
    return [...contents].some(([file, hash]) => this.#last.contents.get(file) !== hash);
  }

  #look(): Look {
    return {
      contents: new Map(this.#watched.files.map((file) => [file, hashOf(file)])),
      around: [...this.#folders.keys()].toSorted().flatMap(filesIn).join("\n"),
    };
  }

  #watchFolders(): void {
    const wanted = new Set(this.#watched.files.flatMap((file) => [...foldersOf(file)]));
    for (const [folder, { watcher, inode }] of this.#folders) {
      if (wanted.has(folder) && inode === inodeOf(folder)) continue;
      watcher.close();
      this.#folders.delete(folder);
    }
    for (const folder of wanted) {
      const inode = inodeOf(folder);
      if (inode === null || this.#folders.has(folder)) continue;
      try {
        const watcher = watchFolder(folder, () => this.#settle());
        // Its end: the poll sees to the rest.
        watcher.on("error", () => {});
        this.#folders.set(folder, { watcher, inode });
      } catch {
        // No more watches are to be had: the poll sees to it.
      }
    }
  }
}

/** Where a change decides what is found under this name: its own folder, and that of each link on the way. */
export function foldersOf(file: string): Set<string> {
  const folders = new Set<string>();
  let { folder, names } = split(resolve(file));
  for (let links = 0; names.length > 0;) {
    const [name = "", ...rest] = names;
    const path = join(folder, name);
    const target = links < MOST_LINKS ? linkTarget(path) : null;
    if (target !== null) {
      links++;
      folders.add(folder);
      const aimed = split(resolve(folder, target));
      folder = aimed.folder;
      names = [...aimed.names, ...rest];
      continue;
    }
    if (rest.length === 0) folders.add(folder);
    folder = path;
    names = rest;
  }
  return folders;
}

function split(path: string): { folder: string; names: string[] } {
  const { root } = parse(path);
  return { folder: root, names: path.slice(root.length).split(sep).filter(Boolean) };
}

function linkTarget(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    // No link, or nothing at all.
    return null;
  }
}

function filesIn(folder: string): string[] {
  try {
    const names = readdirSync(folder).filter((name) => SOURCE.test(name));
    return names.toSorted().map((name) => {
      const path = join(folder, name);
      return `${path} ${statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? "gone"}`;
    });
  } catch {
    return [];
  }
}

function hashOf(file: string): string | null {
  try {
    // Reading a pipe could take for ever, and a device has no end.
    const status = statSync(file);
    if (!status.isFile() || status.size > MOST_BYTES) return `${status.size} ${status.mtimeMs}`;
    // Where it is, too: what it imports is looked for there, and may be another although it is the same.
    return createHash("sha256")
      .update(realpathSync(file))
      .update(readFileSync(file))
      .digest("base64");
  } catch {
    return null;
  }
}

function inodeOf(folder: string): number | null {
  return statSync(folder, { throwIfNoEntry: false })?.ino ?? null;
}
