import { join } from "node:path";

/** The command that runs this same program: the executable, or Bun with our entry file. */
export function selfCommand(args: readonly string[]): string[] {
  return isCompiled()
    ? [process.execPath, ...args]
    : [process.execPath, join(import.meta.dir, "..", "cli.ts"), ...args];
}

/** Bun keeps an executable's own files under a path that exists nowhere else. */
export function isCompiled(): boolean {
  return /^(\/\$bunfs\/|[A-Za-z]:[\\/]~BUN[\\/])/.test(import.meta.path);
}
