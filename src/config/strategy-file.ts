import { statSync } from "node:fs";
import { resolve } from "node:path";

/** Whether a strategy is given as a file and not by its name. */
export function isStrategyFile(use: string): boolean {
  return /[/\\]/.test(use) || /\.m?[jt]s$/.test(use);
}

/** What is wrong with a strategy file before it is looked into, or null. */
export function findFileProblem(use: string, baseDir: string): string | null {
  const file = resolve(baseDir, use);
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat?.isFile()) return null;
  return `found ${JSON.stringify(use)}: ${file} ${stat ? "is not a file" : "does not exist"}`;
}
