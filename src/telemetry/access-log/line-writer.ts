import type { LogSink } from "./sink.ts";

export interface LineWriterOptions {
  readonly sink: LogSink;
  /** Called for each line that is lost. */
  readonly onDropped: () => void;
  /** Once when lines begin to be lost or cannot be written, before the first `onRecovered`. */
  readonly onTrouble: (reason: string) => void;
  /** Once little waits any more, and nothing has been lost or refused for some time. */
  readonly onRecovered: (droppedLines: number) => void;
  /** That time, in milliseconds. Default: 3 s. */
  readonly calmMs?: number;
}

/** What waits to be written, at most; a line above it is dropped. */
export const WAITING_BYTES = 1024 * 1024;
/** Lines are collected for this long, so that many of them cost one write. */
const COLLECT_MS = 20;
/** Until a full pipe is tried again. */
const FULL_MS = 20;
/** Until anything else that failed is tried again, such as a full disk. */
const FAILED_MS = 1000;
/** A sink that is just too slow takes everything between two overflows: that is no end of the trouble. */
const CALM_MS = 3000;

/**
 * Lines on their way to a sink, whole and in their order, in batches and one write at a time.
 * Whoever gives a line never waits: what does not fit in is dropped and counted.
 */
export class LineWriter {
  readonly #options: LineWriterOptions;
  #sink: LogSink;
  /** In place of `#sink` as soon as no write is under way. */
  #next: LogSink | null = null;
  /** Printable ASCII, each with its line feed: as many bytes as characters. */
  #lines: string[] = [];
  #linesBytes = 0;
  /** Taken from `#lines` and not written yet. */
  #batch: Uint8Array | null = null;
  #writing = false;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #closed = false;
  /** Looks whether the trouble is over; null: there is none. */
  #calming: ReturnType<typeof setInterval> | null = null;
  #troubledLately = false;
  /** Nothing was taken since it failed. */
  #failing = false;
  #dropped = 0;
  /** Told when nothing waits any more. */
  #idle: (() => void)[] = [];

  constructor(options: LineWriterOptions) {
    this.#options = options;
    this.#sink = options.sink;
  }

  /** `line` is in ASCII and ends in its only line feed. */
  write(line: string): void {
    if (this.#waiting + line.length > WAITING_BYTES) {
      this.#drop();
      this.#trouble("lines come faster than they are taken");
      return;
    }
    this.#lines.push(line);
    this.#linesBytes += line.length;
    if (!this.#writing) this.#later(COLLECT_MS);
  }

  /** Nothing can be written now, for a reason that the sink does not know. */
  fail(reason: string): void {
    this.#failing = true;
    this.#trouble(reason);
  }

  /** What comes from now on, and what waits, goes there; the sink before is closed. */
  replaceSink(sink: LogSink): void {
    this.#next?.close();
    this.#next = sink;
    this.#failing = false;
    // Whatever was wrong with the old one, this one may do.
    this.#cancelTimer();
    this.#advance();
  }

  /** Resolves when nothing waits any more, or else after `timeoutMs`. */
  async flush(timeoutMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#idle.push(resolve);
    const timer = setTimeout(resolve, timeoutMs);
    this.#cancelTimer();
    this.#advance();
    await promise;
    clearTimeout(timer);
  }

  /** What still waits is lost. */
  close(): void {
    this.#closed = true;
    this.#cancelTimer();
    if (this.#waiting === 0 && !this.#failing) this.#recover();
    if (this.#calming !== null) clearInterval(this.#calming);
    const unwritten = this.#writing || this.#batch === null ? 0 : linesIn(this.#batch);
    for (let lost = unwritten + this.#lines.length; lost > 0; lost--) this.#drop();
    this.#next?.close();
    // A write that is under way would go on in whatever gets the descriptor next.
    if (!this.#writing) this.#sink.close();
  }

  #advance(): void {
    if (this.#writing) return;
    if (this.#next !== null) this.#swap(this.#next);
    this.#batch ??= this.#takeBatch();
    const batch = this.#batch;
    if (batch === null) return this.#becomeIdle();
    this.#writing = true;
    this.#sink.write(batch, (error, written) => {
      this.#writing = false;
      if (this.#closed) return this.#sink.close();
      if (error === null || written > 0) this.#batch = this.#rest(batch, written);
      if (error !== null) return this.#failed(error);
      this.#failing = false;
      this.#advance();
    });
  }

  #swap(next: LogSink): void {
    this.#next = null;
    this.#sink.close();
    this.#sink = next;
    // The line feed that keeps a torn line apart is of no use in another file.
    if (this.#batch?.[0] === LINE_FEED) this.#batch = this.#batch.subarray(1);
  }

  #takeBatch(): Uint8Array | null {
    let bytes = 0;
    let count = 0;
    for (const line of this.#lines) {
      if (count > 0 && bytes + line.length > this.#sink.batchBytes) break;
      bytes += line.length;
      count++;
    }
    if (count === 0) return null;
    this.#linesBytes -= bytes;
    return Buffer.from(this.#lines.splice(0, count).join(""), "latin1");
  }

  /** What of a batch is to be written next; null: nothing. */
  #rest(batch: Uint8Array, written: number): Uint8Array | null {
    if (written === batch.length) return null;
    const end = batch.subarray(0, written).lastIndexOf(LINE_FEED) + 1;
    if (!this.#sink.tears || end === written) return batch.subarray(written);
    // A line was torn, most likely by a full disk: it comes again, on a line of its own.
    return Buffer.concat([Uint8Array.of(LINE_FEED), batch.subarray(end)]);
  }

  #failed(error: NodeJS.ErrnoException): void {
    if (error.code === "EAGAIN") return this.#later(FULL_MS);
    this.fail(error.message);
    this.#later(FAILED_MS);
  }

  #becomeIdle(): void {
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  get #waiting(): number {
    return this.#linesBytes + (this.#batch?.length ?? 0);
  }

  #drop(): void {
    this.#dropped++;
    this.#options.onDropped();
  }

  #trouble(reason: string): void {
    this.#troubledLately = true;
    if (this.#calming !== null) return;
    this.#calming = setInterval(() => this.#calm(), this.#options.calmMs ?? CALM_MS);
    this.#options.onTrouble(reason);
  }

  #calm(): void {
    const isLow = this.#waiting < WAITING_BYTES / 2;
    if (isLow && !this.#failing && !this.#troubledLately) this.#recover();
    this.#troubledLately = false;
  }

  #recover(): void {
    if (this.#calming === null) return;
    clearInterval(this.#calming);
    this.#calming = null;
    const dropped = this.#dropped;
    this.#dropped = 0;
    this.#options.onRecovered(dropped);
  }

  #later(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#advance();
    }, ms);
  }

  #cancelTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}

const LINE_FEED = 0x0a;

function linesIn(batch: Uint8Array): number {
  const feeds = batch.reduce((count, byte) => count + (byte === LINE_FEED ? 1 : 0), 0);
  // The one that keeps a torn line apart ends none.
  return batch[0] === LINE_FEED ? feeds - 1 : feeds;
}
