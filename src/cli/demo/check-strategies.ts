import { resolve } from "node:path";
import { isStrategyFile } from "../../config/strategy-file.ts";
import { ConfigError, type Problem } from "../../errors.ts";
import { provision } from "../../process/provision.ts";

/** More would take minutes, and nobody compares that many at a glance. */
const MAX_STRATEGIES = 4;
/** Not asked anything: it is there because a pool needs one. */
const SOME_BACKEND = "http://127.0.0.1:9";

/**
 * Tries every strategy out as `leastwise check` does, so that a mistake in the last one is told now
 * and not after the runs before it.
 *
 * @param folder empty, so that no config file of the user's is found there.
 * @throws {ConfigError} with the problems of all.
 */
export async function checkStrategies(
  strategies: readonly string[],
  folder: string,
): Promise<void> {
  const problems: Problem[] = [];
  if (strategies.length > MAX_STRATEGIES) {
    const message = `given ${strategies.length} times, allowed at most ${MAX_STRATEGIES}`;
    throw new ConfigError([{ path: "--strategy", message }]);
  }
  for (const given of strategies) {
    const strategy = absoluteStrategy(given);
    try {
      const flags = { backend: [SOME_BACKEND], strategy };
      await provision({ flags, env: {}, cwd: folder, tempDir: folder });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(...error.problems);
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
}

/**
 * Paths on the command line are relative to the working directory, those in a config file to the
 * file, and the demo's config files lie in a temporary folder.
 */
export function absoluteStrategy(strategy: string): string {
  return isStrategyFile(strategy) ? resolve(strategy) : strategy;
}
