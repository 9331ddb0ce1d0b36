import { Server, ServerCredentials } from "@grpc/grpc-js";
import { OtlpStore } from "./otlp-store.ts";

export interface ReceivedCall {
  readonly signal: "traces" | "metrics";
  readonly metadata: Readonly<Record<string, unknown>>;
}

const SERVICES = {
  traces: "opentelemetry.proto.collector.trace.v1.TraceService",
  metrics: "opentelemetry.proto.collector.metrics.v1.MetricsService",
} as const;

const bytes = (message: Buffer): Buffer => message;

/** An OTLP/gRPC collector on a port of its own that keeps what really arrives. */
export class OtlpGrpcReceiver extends OtlpStore implements Disposable {
  readonly calls: ReceivedCall[] = [];
  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  endpoint = "";
  readonly #server = new Server();

  private constructor() {
    super();
    for (const signal of ["traces", "metrics"] as const) {
      const method = {
        path: `/${SERVICES[signal]}/Export`,
        requestStream: false,
        responseStream: false,
        requestSerialize: bytes,
        requestDeserialize: bytes,
        responseSerialize: bytes,
        responseDeserialize: bytes,
      } as const;
      this.#server.addService(
        { export: method },
        {
          export: (
            call: { request: Buffer; metadata: { getMap(): Record<string, unknown> } },
            answer: (error: Error | null, value: Buffer) => void,
          ) => {
            this.calls.push({ signal, metadata: call.metadata.getMap() });
            this.keep(signal, call.request, "application/x-protobuf");
            this.wake();
            answer(null, Buffer.alloc(0));
          },
        },
      );
    }
  }

  /** With `tls` over TLS. */
  static async start(
    tls: { readonly cert: string; readonly key: string } | null = null,
  ): Promise<OtlpGrpcReceiver> {
    const receiver = new OtlpGrpcReceiver();
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const credentials =
      tls === null
        ? ServerCredentials.createInsecure()
        : ServerCredentials.createSsl(null, [
            { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) },
          ]);
    receiver.#server.bindAsync("127.0.0.1:0", credentials, (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
    receiver.endpoint = `${tls === null ? "http" : "https"}://127.0.0.1:${await promise}`;
    return receiver;
  }

  [Symbol.dispose](): void {
    this.#server.forceShutdown();
  }
}
