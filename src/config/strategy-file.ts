import { statSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";

/** Whether a strategy is given as a file and not by its name. */
export function isStrategyFile(use: string): boolean {
  return /[/\\]/.test(use) || /\.m?[jt]s$/.test(use);
}

/** What is wrong with a strategy file before it is looked into, or null. */
export function findFileProblem(use: string, baseDir: string): string | null {
  const stat = statSync(resolve(baseDir, use), { throwIfNoEntry: false });
  if (stat?.isFile()) return null;
  const found = `found ${JSON.stringify(use)}`;
  if (stat) return `${found}, which is not a file`;
  return `${found}, but there is no such file${isAbsolute(use) ? "" : ` in ${baseDir}`}`;
}
