import type { SpanExporter } from "@opentelemetry/sdk-trace";
import type { ExportWatch } from "./export-watch.ts";
import type { RecordedSpan } from "./recorded-span.ts";

export type ExportResult = Parameters<Parameters<SpanExporter["export"]>[1]>[0];

/** `ExportResultCode`, an enum of a package that is not ours to import. */
export const SUCCESS: ExportResult = { code: 0 };
const FAILED = 1;

/** Enough for a collector that takes its time over each. */
export const MAX_AT_ONCE = 8;
/** Each export is there two or three times more while it is sent: by itself, in a request, compressed. */
const MAX_BYTES_AT_ONCE = 1024 * 1024;

interface Part {
  readonly spans: RecordedSpan[];
  readonly bytes: number;
  readonly onEnd: () => void;
}

/**
 * Sends batches in parts of a megabyte and a few at a time. At a stop the SDK's processor gives every
 * batch that waits at once, and what the exporter does not take then is lost.
 */
export class BoundedExporter {
  readonly #exporter: SpanExporter;
  readonly #watch: ExportWatch;
  readonly #waiting: Part[] = [];
  #sending = 0;
  #sendingBytes = 0;
  /** Told when nothing waits or is being sent any more. */
  readonly #onIdle: (() => void)[] = [];

  constructor(exporter: SpanExporter, watch: ExportWatch) {
    this.#exporter = exporter;
    this.#watch = watch;
  }

  /** `onSent`: of some of them, delivered or lost; `onEnd`: of the last. */
  export(
    spans: readonly RecordedSpan[],
    onSent: (sent: readonly RecordedSpan[], bytes: number) => void,
    onEnd: () => void,
  ): void {
    const parts = split(spans);
    let left = parts.length;
    for (const { spans: some, bytes } of parts) {
      const onPartEnd = (): void => {
        onSent(some, bytes);
        if (--left === 0) onEnd();
      };
      this.#waiting.push({ spans: some, bytes, onEnd: onPartEnd });
    }
    if (left === 0) onEnd();
    this.#advance();
  }

  /** After all that it was given: the SDK's processor waits only for what it gives in its own shutdown. */
  async shutdown(): Promise<void> {
    if (this.#sending > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onIdle.push(resolve);
      await promise;
    }
    await this.#exporter.shutdown();
  }

  #advance(): void {
    for (let [next] = this.#waiting; next !== undefined; [next] = this.#waiting) {
      const fits = this.#sendingBytes + next.bytes <= MAX_BYTES_AT_ONCE;
      if (this.#sending > 0 && (this.#sending >= MAX_AT_ONCE || !fits)) return;
      this.#waiting.shift();
      this.#send(next);
    }
  }

  #send({ spans, bytes, onEnd }: Part): void {
    this.#sending++;
    this.#sendingBytes += bytes;
    const done = ({ code, error }: ExportResult): void => {
      this.#sending--;
      this.#sendingBytes -= bytes;
      if (code !== SUCCESS.code) {
        this.#watch.failed(error?.message ?? "the export failed", null);
        this.#watch.lost(spans.length);
      }
      onEnd();
      this.#advance();
      if (this.#sending === 0) for (const tell of this.#onIdle.splice(0)) tell();
    };
    try {
      this.#exporter.export(spans, done);
    } catch (error) {
      done({ code: FAILED, error: error instanceof Error ? error : new Error(String(error)) });
    }
  }
}

function split(spans: readonly RecordedSpan[]): { spans: RecordedSpan[]; bytes: number }[] {
  const parts: { spans: RecordedSpan[]; bytes: number }[] = [];
  for (const span of spans) {
    const last = parts.at(-1);
    if (last === undefined || last.bytes + span.heldBytes > MAX_BYTES_AT_ONCE) {
      parts.push({ spans: [span], bytes: span.heldBytes });
    } else {
      last.spans.push(span);
      last.bytes += span.heldBytes;
    }
  }
  return parts;
}
