import type { BackendConfig } from "../config/config.ts";
import type { Backend, Health } from "../plugin.ts";
import { type Counters, PROBE_HEALTHY, PROBE_UNHEALTHY } from "./counters.ts";

/**
 * A backend as strategies see it, reading live numbers from the shared counters. Frozen, and its
 * inner fields are private to the runtime, so a strategy can hold on to it but change nothing.
 */
export class PoolBackend implements Backend {
  readonly id: string;
  readonly url: string;
  readonly weight: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly #counters: Counters;
  readonly #config: BackendConfig;
  readonly #row: number;

  constructor(config: BackendConfig, counters: Counters, row: number) {
    this.id = config.id;
    this.url = config.url;
    this.weight = config.weight;
    this.labels = Object.freeze({ ...config.labels });
    this.#counters = counters;
    this.#config = config;
    this.#row = row;
    Object.freeze(this);
  }

  get health(): Health {
    const probe = this.#counters.probe(this.#row);
    return probe === PROBE_HEALTHY
      ? "healthy"
      : probe === PROBE_UNHEALTHY
        ? "unhealthy"
        : "unknown";
  }

  get draining(): boolean {
    return this.#counters.draining(this.#row);
  }

  get inFlight(): number {
    return this.#counters.inFlight(this.#row);
  }

  /** The proxy's own view of a backend; strategies cannot reach it. */
  static configOf(backend: PoolBackend): BackendConfig {
    return backend.#config;
  }

  static rowOf(backend: PoolBackend): number {
    return backend.#row;
  }
}
