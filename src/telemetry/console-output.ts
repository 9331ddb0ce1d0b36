import { inspect } from "node:util";
import { LineWriter } from "./access-log/line-writer.ts";
import { stdoutSink } from "./access-log/sink.ts";
import type { ExportWatch } from "./export-watch.ts";

/** No span is longer; the many lines of a metric are written one after the other. */
const PIECE = 64 * 1024;
/** Then it is waited for until that is taken: an export may be more than the writer holds. */
const UNTAKEN = 256 * 1024;
/** A reader that takes nothing for so long has stopped: what is more is dropped. */
const PATIENCE_MS = 1000;

/**
 * Standard output for exports. Whoever reads it may stop: nobody waits for that, neither a request
 * nor the end of the process.
 */
export class ConsoleOutput {
  readonly #writer: LineWriter;
  #untaken = 0;

  constructor(watch: ExportWatch, onDropped: () => void) {
    this.#writer = new LineWriter({
      sink: stdoutSink(),
      onDropped,
      onTrouble: (reason) => watch.failed(reason, null),
      onRecovered: () => watch.succeeded(),
    });
  }

  /** Resolves when most of it is taken or dropped. `depth` as `inspect` has it. */
  async print(values: Iterable<unknown>, depth: number | null): Promise<void> {
    for (const value of values) {
      const text = `${inspect(value, { depth })}\n`.replace(NOT_SHOWN, escaped);
      for (const piece of pieces(text)) {
        this.#writer.write(piece);
        this.#untaken += piece.length;
        if (this.#untaken > UNTAKEN) await this.flush();
      }
    }
  }

  async flush(): Promise<void> {
    await this.#writer.flush(PATIENCE_MS);
    this.#untaken = 0;
  }

  async close(): Promise<void> {
    await this.flush();
    this.#writer.close();
  }
}

/** Of whole lines. */
function* pieces(text: string): Generator<string> {
  let start = 0;
  while (text.length - start > PIECE) {
    const before = text.lastIndexOf("\n", start + PIECE - 1) + 1;
    const end = before > start ? before : text.indexOf("\n", start) + 1;
    yield text.slice(start, end);
    start = end;
  }
  yield text.slice(start);
}

/** What a client sent must not move a terminal's cursor. */
const NOT_SHOWN = /[^\n\x20-\x7e]/g;

function escaped(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
