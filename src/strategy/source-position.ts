import { readFile } from "node:fs/promises";
import type { StrategyModule } from "./module.ts";

type FileModule = Extract<StrategyModule, { kind: "file" }>;

/**
 * Where in the user's files something was thrown: `file:line:column`, or the file alone when the
 * stack does not tell. The bundle's inline source map has already made the user's files and lines of
 * the stack's; it is read to tell them from our own, which the stack may begin with.
 */
export async function locateThrown(thrown: unknown, module: FileModule): Promise<string> {
  const stack = stackOf(thrown);
  if (stack === null) return module.source;
  const sources = await sourcesOf(module.path);
  for (const line of stack.split("\n")) {
    const [, file = "", position] = FRAME.exec(line) ?? [];
    if (sources.has(file)) return `${file}:${position}`;
  }
  return module.source;
}

/** `at name (/path:1:2)` or `at /path:1:2`. */
const FRAME = /((?:\/|[A-Za-z]:[\\/])[^()]*):(\d+:\d+)\)?$/;

function stackOf(thrown: unknown): string | null {
  try {
    const stack: unknown = thrown instanceof Error ? thrown.stack : null;
    return typeof stack === "string" ? stack : null;
  } catch {
    return null;
  }
}

const SOURCE_MAP = "//# sourceMappingURL=data:application/json;base64,";

/** The files that a bundle was made of; none when it has no inline source map. */
async function sourcesOf(bundle: string): Promise<ReadonlySet<unknown>> {
  try {
    const code = await readFile(bundle, "utf8");
    const start = code.lastIndexOf(SOURCE_MAP);
    if (start === -1) return new Set();
    const map: unknown = JSON.parse(
      Buffer.from(code.slice(start + SOURCE_MAP.length), "base64").toString("utf8"),
    );
    return new Set((map as { readonly sources: readonly unknown[] }).sources);
  } catch {
    // The position is a help, not the problem itself: without it the file alone is named.
    return new Set();
  }
}
