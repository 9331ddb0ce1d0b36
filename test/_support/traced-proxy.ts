import { afterEach, expect } from "bun:test";
import { useHarness } from "./harness.ts";
import { OtlpReceiver } from "./otlp-receiver.ts";
import type { ReceivedSpan } from "./otlp-trace.ts";
import type { Proxy, ProxyOptions } from "./proxy.ts";

/** For files of integration tests about traces: the usual harness, and a collector to look into. */
export function useTracing() {
  const harness = useHarness();
  const receivers: OtlpReceiver[] = [];
  afterEach(() => {
    for (const receiver of receivers.splice(0)) receiver[Symbol.dispose]();
  });

  return {
    ...harness,
    collector(): OtlpReceiver {
      const receiver = new OtlpReceiver();
      receivers.push(receiver);
      return receiver;
    },
    /** Sends its spans to the receiver almost at once; null: to nobody. */
    tracedProxy(receiver: OtlpReceiver | null, options: ProxyOptions): Promise<Proxy> {
      const endpoint: Record<string, string> =
        receiver === null
          ? {}
          : { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${receiver.endpoint}/v1/traces` };
      return harness.proxy({
        ...options,
        env: { OTEL_BSP_SCHEDULE_DELAY: "20", ...endpoint, ...options.env },
      });
    },
  };
}

/** Backends without probes and ejection, so that nothing happens but what the test does. */
export function calmly(
  urls: readonly string[],
  pool: Partial<NonNullable<ProxyOptions["config"]["pools"]>[string]> = {},
): ProxyOptions {
  return {
    config: {
      workers: 1,
      pools: { web: { backends: [...urls], health: false, ejection: false, ...pool } },
    },
  };
}

export interface Trace {
  readonly server: ReceivedSpan;
  /** In the order in which they began. */
  readonly attempts: readonly ReceivedSpan[];
}

/** One request's spans: its own, and its attempts right below it. */
export function traceOf(spans: readonly ReceivedSpan[]): Trace {
  const servers = spans.filter(({ kind }) => kind === "SERVER");
  expect(servers).toHaveLength(1);
  const server = servers[0]!;
  const attempts = spans.filter(({ kind }) => kind === "CLIENT");
  for (const { traceId, parentSpanId } of attempts) {
    expect([traceId, parentSpanId]).toEqual([server.traceId, server.spanId]);
  }
  expect(attempts.length + 1).toBe(spans.length);
  return { server, attempts: attempts.toSorted((a, b) => Number(a.startNs - b.startNs)) };
}

/** As the backend that this attempt went to must have seen it. */
export function traceparentOf({ traceId, spanId }: ReceivedSpan): string {
  return `00-${traceId}-${spanId}-01`;
}

export function eventOf(span: ReceivedSpan | undefined, name: string): ReceivedSpan["attributes"] {
  const event = span?.events.find((each) => each.name === name);
  expect(event, `${name} among ${span?.events.map((each) => each.name).join(", ")}`).toBeDefined();
  return event!.attributes;
}
