import type { ProcessSample } from "./processes.ts";

/** What one minute came to; taken while no request is under way. */
export interface SoakMinute {
  readonly minute: number;
  readonly requests: number;
  /** By what went wrong and what explains it. */
  readonly failures: ReadonlyMap<string, number>;
  readonly disturbances: ReadonlyMap<string, number>;
  readonly master: ProcessSample;
  readonly workers: readonly ProcessSample[];
  /** Of clients, and to backends, over all workers. */
  readonly connections: number;
  readonly counters: Readonly<Record<string, number>>;
}
