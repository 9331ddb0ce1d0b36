import type { AccessLogConfig } from "../../config/config.ts";
import { RuntimeError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { RequestObserver } from "../../proxy/observer.ts";
import { formatJson } from "./format-json.ts";
import { formatText } from "./format-text.ts";
import { LineWriter } from "./line-writer.ts";
import { createAccessLogObserver } from "./observer.ts";
import type { AccessRecord } from "./record.ts";
import { type LogSink, openFileSink, stderrSink } from "./sink.ts";

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

/** One worker's access log. Nobody who uses it ever waits for it. */
export class AccessLog {
  readonly config: AccessLogConfig;
  readonly observer: RequestObserver;
  readonly #log: Logger;
  readonly #writer: LineWriter;
  /** Requests that will be told of. */
  #underWay = 0;
  /** Called when no request is under way; null: nobody waits for that. */
  #onUnused: (() => void) | null = null;

  private constructor(options: AccessLogOptions, sink: LogSink) {
    const { config, now, log, onDropped } = options;
    const { target } = sink;
    this.config = config;
    this.#log = log;
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
      write: (record: AccessRecord) => this.#writer.write(`${format(record)}\n`),
      onEnded: () => {
        this.#underWay--;
        if (this.#underWay === 0) this.#onUnused?.();
      },
    });
    this.observer = {
      requestStarted: (facts) => {
        this.#underWay++;
        return observer.requestStarted(facts);
      },
    };
  }

  /** Rejects with a RuntimeError that names the file and the reason. */
  static async open(options: AccessLogOptions): Promise<AccessLog> {
    const { file } = options.config;
    return new AccessLog(options, file === null ? stderrSink() : await openSink(file));
  }

  /** The file by its name, which may be another one by now. One that cannot be opened changes nothing. */
  async reopen(): Promise<void> {
    const { file } = this.config;
    if (file === null) return;
    try {
      this.#writer.replaceSink(await openSink(file));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.error("the access log goes on in the file before", { reason });
    }
  }

  /** Another one has taken its place: it ends with the last request that it was told of. */
  retire(): void {
    const close = (): void => {
      this.#onUnused = null;
      void this.#end(CLOSE_MS);
    };
    if (this.#underWay === 0) close();
    else this.#onUnused = close;
  }

  /** Waits for the requests that are under way and for what is to be written, for a second at most. */
  async close(): Promise<void> {
    const startedMs = performance.now();
    if (this.#underWay > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onUnused = resolve;
      const timer = setTimeout(resolve, CLOSE_MS);
      await promise;
      clearTimeout(timer);
    }
    await this.#end(Math.max(0, startedMs + CLOSE_MS - performance.now()));
  }

  async #end(timeoutMs: number): Promise<void> {
    await this.#writer.flush(timeoutMs);
    this.#writer.close();
  }
}

async function openSink(file: string): Promise<LogSink> {
  try {
    return await openFileSink(file);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RuntimeError(`accessLog.file: cannot write ${file}: ${reason}`, { cause: error });
  }
}
