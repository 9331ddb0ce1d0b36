import { existsSync } from "node:fs";
import { join } from "node:path";

/**
 * The command that runs this same program: the executable, or Bun with our entry file. On Linux it
 * is the very file this process runs, even when another version lies at its path by now, or none.
 */
export function selfCommand(args: readonly string[]): string[] {
  if (!isCompiled()) return [process.execPath, join(import.meta.dir, "..", "cli.ts"), ...args];
  return [existsSync(OWN_IMAGE) ? OWN_IMAGE : process.execPath, ...args];
}

/** A command of the Bun that this program carries within it; `bun` needs to be installed nowhere. */
export interface BunCommand {
  readonly command: readonly string[];
  readonly env: Record<string, string | undefined>;
}

/** The Bun command line (`test`, `check`) in a child that does not outlive us. */
export function bunCommand(args: readonly string[]): BunCommand {
  // Bun's own switch for executables that it compiled.
  const env = { ...orphanFreeEnvironment(), BUN_BE_BUN: "1" };
  return { command: isCompiled() ? selfCommand(args) : [process.execPath, ...args], env };
}

/**
 * For a child that must not outlive us, even if we are killed and it is in an endless loop: Bun asks the
 * kernel for the parent's death signal (the flag `--no-orphans`, as a variable).
 */
export function orphanFreeEnvironment(): Record<string, string | undefined> {
  return { ...process.env, BUN_FEATURE_FLAG_NO_ORPHANS: "1" };
}

/** Of whoever opens it; the child that is about to become the program still runs ours. */
const OWN_IMAGE = "/proc/self/exe";

/** Bun keeps an executable's own files under a path that exists nowhere else. */
function isCompiled(): boolean {
  return /^(\/\$bunfs\/|[A-Za-z]:[\\/]~BUN[\\/])/.test(import.meta.path);
}
