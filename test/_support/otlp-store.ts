import { metricsFromJson, metricsFromProtobuf, type ReceivedMetric } from "./otlp-metrics.ts";
import { type ReceivedSpan, spansFromJson, spansFromProtobuf } from "./otlp-trace.ts";

/** What a collector was sent, and waiting for it. */
export class OtlpStore {
  readonly #spans: ReceivedSpan[] = [];
  /** The newest of each name: points are cumulative. */
  readonly #metrics = new Map<string, ReceivedMetric>();
  #fault: Error | null = null;
  #waiting: { readonly ready: () => boolean; readonly settle: () => void }[] = [];

  /** All spans so far, as soon as there are at least `count`; rejects after `timeoutMs`. */
  async spans(count: number, timeoutMs = 10_000): Promise<ReceivedSpan[]> {
    await this.until(
      () => this.#fault !== null || this.#spans.length >= count,
      timeoutMs,
      () => `${count} spans, got ${this.#spans.map((span) => span.name).join(", ") || "none"}`,
    );
    if (this.#fault !== null) throw this.#fault;
    return [...this.#spans];
  }

  /** The newest of each metric by name, as soon as `holds` is true of them; rejects after `timeoutMs`. */
  async metrics(
    holds: (metrics: ReadonlyMap<string, ReceivedMetric>) => boolean,
    timeoutMs = 10_000,
  ): Promise<ReadonlyMap<string, ReceivedMetric>> {
    await this.until(
      () => this.#fault !== null || holds(this.#metrics),
      timeoutMs,
      () => `metrics, got ${[...this.#metrics.keys()].join(", ") || "none"}`,
    );
    if (this.#fault !== null) throw this.#fault;
    return new Map(this.#metrics);
  }

  /** False when it cannot be decoded, of which the waiting hear. */
  protected keep(signal: "traces" | "metrics", body: Uint8Array, contentType: string): boolean {
    const isJson = contentType === "application/json";
    try {
      if (!isJson && contentType !== "application/x-protobuf") {
        throw new Error(`content-type ${JSON.stringify(contentType)}`);
      }
      const text = isJson ? new TextDecoder().decode(body) : "";
      if (signal === "traces") {
        this.#spans.push(...(isJson ? spansFromJson(text) : spansFromProtobuf(body)));
      } else {
        const metrics = isJson ? metricsFromJson(text) : metricsFromProtobuf(body);
        for (const metric of metrics) this.#metrics.set(metric.name, metric);
      }
      return true;
    } catch (error) {
      this.#fault = new Error("an export could not be decoded", { cause: error });
      return false;
    }
  }

  protected async until(
    ready: () => boolean,
    timeoutMs: number,
    wanted: () => string,
  ): Promise<void> {
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

  protected wake(): void {
    const waiting = this.#waiting;
    this.#waiting = waiting.filter((waiter) => !waiter.ready());
    for (const waiter of waiting) if (waiter.ready()) waiter.settle();
  }
}
