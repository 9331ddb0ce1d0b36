import type { BackendConfig } from "../config/config.ts";
import type { Backend, Health } from "../plugin.ts";
import { type Counters, PROBE_HEALTHY, PROBE_UNHEALTHY } from "./counters.ts";

let readRow: (backend: PoolBackend) => number;
let readGone: (backend: PoolBackend) => boolean;
let readConfig: (backend: PoolBackend) => BackendConfig;
let writeConfig: (backend: PoolBackend, config: BackendConfig) => void;

/**
 * A backend as strategies see it, reading live numbers from the shared counters. Frozen, and its
 * inner fields are private to the runtime, so a strategy can hold on to it but change nothing.
 */
export class PoolBackend implements Backend {
  readonly id: string;
  readonly url: string;
  readonly #counters: Counters;
  readonly #row: number;
  readonly #generation: number;
  #config: BackendConfig;
  #labels: Readonly<Record<string, string>>;

  constructor(config: BackendConfig, counters: Counters, row: number) {
    this.id = config.id;
    this.url = config.url;
    this.#counters = counters;
    this.#row = row;
    this.#generation = counters.generation(row);
    this.#config = config;
    this.#labels = Object.freeze({ ...config.labels });
    Object.freeze(this);
  }

  get weight(): number {
    return this.#config.weight;
  }

  get labels(): Readonly<Record<string, string>> {
    return this.#labels;
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
    return this.#counters.draining(this.#row) || readGone(this);
  }

  get inFlight(): number {
    return this.#counters.inFlight(this.#row);
  }

  static {
    readRow = (backend) => backend.#row;
    readGone = (backend) => backend.#counters.generation(backend.#row) !== backend.#generation;
    readConfig = (backend) => backend.#config;
    writeConfig = (backend, config) => {
      backend.#config = config;
      backend.#labels = Object.freeze({ ...config.labels });
    };
    // A strategy can reach the prototype, and must not change what every backend answers.
    Object.freeze(PoolBackend.prototype);
  }
}

/** The backend's row in the counters. Not a method: strategies hold the object. */
export function rowOf(backend: PoolBackend): number {
  return readRow(backend);
}

/**
 * Whether a reload has removed the backend: what it has may finish, it gets nothing new, and its row may
 * be another's as soon as nothing is in flight there. Not a method: strategies hold the object.
 */
export function isGone(backend: PoolBackend): boolean {
  return readGone(backend);
}

/** The proxy's own view of a backend. Not a method: strategies hold the object. */
export function configOf(backend: PoolBackend): BackendConfig {
  return readConfig(backend);
}

/** A reload gave the same backend (`id` and `url` are equal) another weight, limit or other labels. */
export function reconfigure(backend: PoolBackend, config: BackendConfig): void {
  writeConfig(backend, config);
}
