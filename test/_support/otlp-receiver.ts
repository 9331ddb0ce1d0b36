import { gunzipSync } from "node:zlib";
import { type ReceivedSpan, spansFromJson, spansFromProtobuf } from "./otlp-trace.ts";

export type { ReceivedSpan } from "./otlp-trace.ts";

/** One export as it arrived. */
export interface ReceivedExport {
  readonly path: string;
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly headers: Headers;
  /** 200, or what the receiver was told to answer. */
  readonly status: number;
}

/**
 * An OTLP/HTTP collector on a port of its own that keeps what really arrives: protobuf or JSON,
 * plain or gzip. What cannot be decoded is answered 400 and makes `spans` reject.
 */
export class OtlpReceiver implements Disposable {
  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly endpoint: string;
  readonly exports: ReceivedExport[] = [];
  /** Answer to the next exports; anything but 200 keeps nothing of them. */
  status = 200;
  readonly #server: ReturnType<typeof Bun.serve>;
  readonly #spans: ReceivedSpan[] = [];
  #fault: Error | null = null;
  #waiting: { readonly ready: () => boolean; readonly settle: () => void }[] = [];

  /** `port` 0: any. */
  constructor(port = 0) {
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port,
      development: false,
      fetch: async (request) => {
        const answer = await this.#receive(request);
        this.#wake();
        return answer;
      },
    });
    this.endpoint = `http://127.0.0.1:${this.#server.port}`;
  }

  get port(): number {
    return this.#server.port ?? 0;
  }

  /** All spans so far, as soon as there are at least `count`; rejects after `timeoutMs`. */
  async spans(count: number, timeoutMs = 10_000): Promise<ReceivedSpan[]> {
    await this.#until(
      () => this.#fault !== null || this.#spans.length >= count,
      timeoutMs,
      () => `${count} spans, got ${this.#spans.map((span) => span.name).join(", ") || "none"}`,
    );
    if (this.#fault !== null) throw this.#fault;
    return [...this.#spans];
  }

  /** Resolves when at least `count` exports have been answered, well or not. */
  async answered(count: number, timeoutMs = 10_000): Promise<void> {
    await this.#until(
      () => this.exports.length >= count,
      timeoutMs,
      () => `${count} exports, got ${this.exports.length}`,
    );
  }

  [Symbol.dispose](): void {
    this.#server.stop(true);
  }

  async #receive(request: Request): Promise<Response> {
    const path = new URL(request.url).pathname;
    const contentType = request.headers.get("content-type") ?? "";
    const contentEncoding = request.headers.get("content-encoding") ?? "";
    const received = await request.bytes();
    const status = this.status;
    this.exports.push({ path, contentType, contentEncoding, headers: request.headers, status });
    if (status !== 200) return new Response(null, { status });
    if (path !== "/v1/traces") return new Response(null, { status: 404 });
    try {
      const body = contentEncoding === "gzip" ? gunzipSync(received) : received;
      if (contentType === "application/x-protobuf") this.#spans.push(...spansFromProtobuf(body));
      else if (contentType === "application/json")
        this.#spans.push(...spansFromJson(new TextDecoder().decode(body)));
      else throw new Error(`content-type ${JSON.stringify(contentType)}`);
    } catch (error) {
      this.#fault = new Error("an export could not be decoded", { cause: error });
      return new Response(null, { status: 400 });
    }
    const empty = contentType === "application/json" ? "{}" : new Uint8Array();
    return new Response(empty, { headers: { "content-type": contentType } });
  }

  async #until(ready: () => boolean, timeoutMs: number, wanted: () => string): Promise<void> {
    if (ready()) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => reject(new Error(`waited ${timeoutMs} ms for ${wanted()}`)),
      timeoutMs,
    );
    this.#waiting.push({ ready, settle: resolve });
    try {
      await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = waiting.filter((waiter) => !waiter.ready());
    for (const waiter of waiting) if (waiter.ready()) waiter.settle();
  }
}
