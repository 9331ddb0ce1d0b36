import type { AccessLogConfig } from "../../config/config.ts";
import { RuntimeError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { RequestObserver } from "../../proxy/observer.ts";
import { fittedLine } from "./fitted-line.ts";
import { formatJson } from "./format-json.ts";
import { formatText } from "./format-text.ts";
import { LineWriter } from "./line-writer.ts";
import { createAccessLogObserver } from "./observer.ts";
import type { AccessRecord } from "./record.ts";
import { absentSink, type LogSink, openFileSink, stderrSink } from "./sink.ts";

export interface AccessLogOptions {
  readonly config: AccessLogConfig;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly log: Logger;
  /** Called for each line that is lost. */
  readonly onDropped: () => void;
}

/** For the last requests and lines, at a stop. */
const CLOSE_MS = 1000;
/** Until a file that could not be opened is tried again. */
const REOPEN_MS = 1000;

/** One worker's access log. Nobody who uses it ever waits for it. */
export class AccessLog {
  readonly config: AccessLogConfig;
  readonly observer: RequestObserver;
  readonly #log: Logger;
  readonly #writer: LineWriter;
  #longestLine: number;
  /** Requests that will be told of. */
  #underWay = 0;
  /** Called when no request is under way. */
  #onUnused: (() => void)[] = [];
  /** Null: it goes on. */
  #ended: Promise<void> | null = null;
  /** Null: the file is open, or none is wanted any more. */
  #reopening: ReturnType<typeof setInterval> | null = null;

  private constructor(options: AccessLogOptions, sink: LogSink) {
    const { config, now, log, onDropped } = options;
    const { target } = sink;
    this.config = config;
    this.#log = log;
    this.#longestLine = sink.longestLine;
    this.#writer = new LineWriter({
      sink,
      onDropped,
      onTrouble: (reason) =>
        log.warn("the access log cannot be written: a little waits, the rest is dropped", {
          target,
          reason,
        }),
      onRecovered: (droppedLines) =>
        log.info("the access log is written again", { target, droppedLines }),
    });
    const asText = config.format === "auto" ? sink.isTerminal : config.format === "text";
    const format = asText ? formatText : formatJson;
    const observer = createAccessLogObserver({
      config,
      now,
      wallClock: Date.now,
      write: (record: AccessRecord) =>
        this.#writer.write(fittedLine(record, format, this.#longestLine)),
      onEnded: () => {
        this.#underWay--;
        if (this.#underWay > 0) return;
        for (const resolve of this.#onUnused.splice(0)) resolve();
      },
    });
    this.observer = {
      requestStarted: (facts, trace) => {
        this.#underWay++;
        return observer.requestStarted(facts, trace);
      },
    };
  }

  /**
   * Rejects with a RuntimeError that names the file and the reason, unless it is to be waited for:
   * then lines wait, too, and it is tried again until it can be opened.
   */
  static async open(options: AccessLogOptions, waits: boolean): Promise<AccessLog> {
    const { file } = options.config;
    if (file === null) return new AccessLog(options, stderrSink());
    try {
      return new AccessLog(options, await openSink(file));
    } catch (error) {
      if (!waits) throw error;
      const waiting = new AccessLog(options, absentSink(file, error));
      waiting.#writer.fail(messageOf(error));
      waiting.#reopening = setInterval(() => void waiting.reopen(), REOPEN_MS);
      return waiting;
    }
  }

  /** The file by its name, which may be another one by now. One that cannot be opened changes nothing. */
  async reopen(): Promise<void> {
    const { file } = this.config;
    if (file === null) return;
    const wasAbsent = this.#reopening !== null;
    try {
      const sink = await openSink(file);
      // It was closed meanwhile, or opened by another try.
      if (this.#ended !== null || (wasAbsent && this.#reopening === null)) return sink.close();
      this.#endReopening();
      this.#longestLine = sink.longestLine;
      this.#writer.replaceSink(sink);
    } catch (error) {
      if (this.#ended !== null) return;
      if (wasAbsent) return this.#writer.fail(messageOf(error));
      this.#log.error("the access log goes on in the file before", { reason: messageOf(error) });
    }
  }

  /** Another one has taken its place: it ends with the last request that it was told of, and resolves then. */
  async retire(): Promise<void> {
    await this.#unused();
    await this.#end(CLOSE_MS);
  }

  /** Waits for the requests that are under way and for what is to be written, for a second at most. */
  async close(): Promise<void> {
    const startedMs = performance.now();
    await this.#unused(CLOSE_MS);
    await this.#end(Math.max(0, startedMs + CLOSE_MS - performance.now()));
  }

  /** Resolves when no request is under way, or else after `timeoutMs`. */
  async #unused(timeoutMs: number | null = null): Promise<void> {
    if (this.#underWay === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onUnused.push(resolve);
    const timer = timeoutMs === null ? null : setTimeout(resolve, timeoutMs);
    await promise;
    if (timer !== null) clearTimeout(timer);
  }

  #endReopening(): void {
    if (this.#reopening !== null) clearInterval(this.#reopening);
    this.#reopening = null;
  }

  #end(timeoutMs: number): Promise<void> {
    this.#endReopening();
    this.#ended ??= this.#writer.flush(timeoutMs).then(() => this.#writer.close());
    return this.#ended;
  }
}

async function openSink(file: string): Promise<LogSink> {
  try {
    return await openFileSink(file);
  } catch (error) {
    const message = `accessLog.file: cannot write ${file}: ${messageOf(error)}`;
    throw new RuntimeError(message, { cause: error });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
