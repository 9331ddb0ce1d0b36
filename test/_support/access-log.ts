import { existsSync, readFileSync } from "node:fs";

export type AccessLine = Readonly<Record<string, unknown>> & {
  readonly path: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
};

/** The lines of an access log's file, or those among the lines of a process's stderr. */
export function accessLines(text: string): AccessLine[] {
  const lines = text.slice(0, text.lastIndexOf("\n") + 1).split("\n");
  return lines
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line))
    .filter(({ message }) => message === "request");
}

/** Resolves with the lines of a file as soon as there are so many; rejects after 20 s. */
export async function accessLinesOf(file: string, count: number): Promise<AccessLine[]> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const lines = existsSync(file) ? accessLines(readFileSync(file, "utf8")) : [];
    if (lines.length >= count) return lines;
    if (Date.now() > deadline) {
      throw new Error(`never saw ${count} lines: ${JSON.stringify(lines, null, 1)}`);
    }
    await Bun.sleep(5);
  }
}
