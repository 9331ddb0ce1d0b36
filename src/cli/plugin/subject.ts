import { resolve } from "node:path";
import type { StrategyConfig } from "../../config/config.ts";
import { describeThrown } from "../../config/describe.ts";
import { findFileProblem, isStrategyFile } from "../../config/strategy-file.ts";
import { didYouMean } from "../../config/suggest.ts";
import { ConfigError } from "../../errors.ts";
import { builtInNames } from "../../strategy/built-in.ts";

/** Flags of the commands that work with one strategy. */
export const subjectArgs = {
  file: { type: "positional", required: false, description: "./mine.ts, or a built-in's name" },
  options: {
    type: "string",
    valueHint: "JSON",
    description: "The strategy's options, as the config would give them",
  },
} as const;

/**
 * The strategy that a command is about.
 *
 * @throws {ConfigError}
 */
export function readSubject(
  use: string | undefined,
  options: string | undefined,
  command: string,
): StrategyConfig {
  if (use === undefined) {
    const message = `is missing, such as in: leastwise ${command} ./mine.ts`;
    throw new ConfigError([{ path: "FILE", message }]);
  }
  const given = options === undefined ? {} : { options: parseJson(options) };
  if (!isStrategyFile(use)) {
    if (builtInNames.includes(use)) return { kind: "built-in", name: use, ...given };
    const allowed = `allowed a file such as ./${use}.ts, or ${builtInNames.join(", ")}`;
    const message = `no such strategy, ${allowed}${didYouMean(use, builtInNames)}`;
    throw new ConfigError([{ path: use, message }]);
  }
  const problem = findFileProblem(use, process.cwd());
  if (problem !== null) throw new ConfigError([{ path: "FILE", message: problem }]);
  return { kind: "file", file: resolve(use), ...given };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    const message = `found ${JSON.stringify(text)}, allowed JSON such as '{"zone":"a"}' (${describeThrown(thrown)})`;
    throw new ConfigError([{ path: "--options", message }]);
  }
}
