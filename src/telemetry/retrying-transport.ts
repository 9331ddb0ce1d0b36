import type { ExportResponse, IExporterTransport } from "@opentelemetry/otlp-exporter-base";
import { ExportFailure } from "./export-failure.ts";

/** One try. Rejects with an ExportFailure, whatever goes wrong. */
export interface Sender {
  send(data: Uint8Array, timeoutMs: number): Promise<Uint8Array>;
  close(): void;
}

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 5000;
const FACTOR = 1.5;
/** Each wait varies by a fifth, or all who lost a collector would come back together. */
const JITTER = 0.2;

/**
 * Tries again until the export's time is over (OTLP specification, "Failures"), and tells of each
 * try: the SDK's own transport keeps quiet until it gives up.
 */
export class RetryingTransport implements IExporterTransport {
  readonly #sender: Sender;
  readonly #tried: (failure: ExportFailure | null) => void;
  readonly #random: () => number;

  constructor(
    sender: Sender,
    tried: (failure: ExportFailure | null) => void,
    random: () => number,
  ) {
    this.#sender = sender;
    this.#tried = tried;
    this.#random = random;
  }

  async send(data: Uint8Array, timeoutMs: number): Promise<ExportResponse> {
    const deadline = performance.now() + timeoutMs;
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * FACTOR, LONGEST_WAIT_MS)) {
      const leftMs = deadline - performance.now();
      const failure = await this.#try(data, leftMs);
      if (!(failure instanceof ExportFailure)) return { status: "success", data: failure };
      // Never sooner than by our own rule: who answers `Retry-After: 0` is not to be hammered.
      const ownMs = waitMs * (1 + JITTER * (2 * this.#random() - 1));
      const pauseMs = Math.max(failure.retryAfterMs ?? 0, ownMs);
      if (!failure.retryable || performance.now() + pauseMs >= deadline) {
        return { status: "failure", error: failure };
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  shutdown(): void {
    this.#sender.close();
  }

  async #try(data: Uint8Array, timeoutMs: number): Promise<Uint8Array | ExportFailure> {
    try {
      const answer = await this.#sender.send(data, timeoutMs);
      this.#tried(null);
      return answer;
    } catch (error) {
      const failure =
        error instanceof ExportFailure
          ? error
          : new ExportFailure(String(error), { retryable: false, cause: error });
      this.#tried(failure);
      return failure;
    }
  }
}
