import type { ProcessSample } from "./processes.ts";

/** What one minute came to; taken while no request is under way. */
export interface SoakMinute {
  readonly minute: number;
  /** Whether workers were left alone. */
  readonly calm: boolean;
  readonly requests: number;
  /** By what went wrong and what explains it. */
  readonly failures: ReadonlyMap<string, number>;
  readonly disturbances: ReadonlyMap<string, number>;
  readonly master: ProcessSample;
  /** Their memory is the median over the minute, under its load. */
  readonly workers: readonly ProcessSample[];
  /** Of clients, and to backends, over all workers. */
  readonly connections: number;
  readonly counters: Readonly<Record<string, number>>;
}
