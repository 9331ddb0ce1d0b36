import { gunzipSync } from "node:zlib";
import { OtlpStore } from "./otlp-store.ts";

export type { ReceivedMetric } from "./otlp-metrics.ts";
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
 * plain or gzip. What cannot be decoded is answered 400 and makes `spans` and `metrics` reject.
 */
export class OtlpReceiver extends OtlpStore implements Disposable {
  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly endpoint: string;
  readonly exports: ReceivedExport[] = [];
  /** Answer to the next exports; anything but 200 keeps nothing of them. Null: none, for ever. */
  status: number | null = 200;
  /** Beside a status that is not 200. */
  retryAfter: string | null = null;
  /** Before each answer. */
  delayMs = 0;
  readonly #server: ReturnType<typeof Bun.serve>;

  /** `port` 0: any. With `tls` over HTTPS. */
  constructor(port = 0, tls: { readonly cert: string; readonly key: string } | null = null) {
    super();
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port,
      development: false,
      idleTimeout: 0,
      ...(tls === null ? {} : { tls }),
      fetch: async (request) => {
        const answer = await this.#receive(request);
        this.wake();
        return answer;
      },
    });
    this.endpoint = `${tls === null ? "http" : "https"}://127.0.0.1:${this.#server.port}`;
  }

  get port(): number {
    return this.#server.port ?? 0;
  }

  /** Resolves when at least `count` exports have arrived, answered well or not. */
  async answered(count: number, timeoutMs = 10_000): Promise<void> {
    await this.until(
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
    const { status } = this;
    this.exports.push({
      path,
      contentType,
      contentEncoding,
      headers: request.headers,
      status: status ?? 0,
    });
    if (status === null) {
      this.wake();
      return new Promise(() => {});
    }
    if (this.delayMs > 0) await Bun.sleep(this.delayMs);
    if (status !== 200) {
      const { retryAfter } = this;
      return new Response(null, {
        status,
        ...(retryAfter === null ? {} : { headers: { "retry-after": retryAfter } }),
      });
    }
    if (path !== "/v1/traces" && path !== "/v1/metrics") return new Response(null, { status: 404 });
    const signal = path === "/v1/traces" ? "traces" : "metrics";
    const body = contentEncoding === "gzip" ? gunzipSync(received) : received;
    if (!this.keep(signal, body, contentType)) return new Response(null, { status: 400 });
    const empty = contentType === "application/json" ? "{}" : new Uint8Array();
    return new Response(empty, { headers: { "content-type": contentType } });
  }
}
