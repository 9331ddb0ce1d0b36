import type { BackendConfig } from "../config/config.ts";
import type { Backend, Health } from "../plugin.ts";
import { type Counters, PROBE_HEALTHY, PROBE_UNHEALTHY } from "./counters.ts";

let readRow: (backend: PoolBackend) => number;
let readGone: (backend: PoolBackend) => boolean;
let readConfig: (backend: PoolBackend) => BackendConfig;
let writeConfig: (backend: PoolBackend, config: BackendConfig, slowStart: boolean) => void;
let readSlowStart: (backend: PoolBackend) => boolean;

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
  #slowStart: boolean;

  /** `slowStart`: the pool has one, so the weight may be less than the configured one for a while. */
  constructor(config: BackendConfig, counters: Counters, row: number, slowStart = false) {
    this.id = config.id;
    this.url = config.url;
    this.#counters = counters;
    this.#row = row;
    this.#generation = counters.generation(row);
    this.#config = config;
    this.#labels = Object.freeze({ ...config.labels });
    this.#slowStart = slowStart;
    Object.freeze(this);
  }

  get weight(): number {
    const { weight } = this.#config;
    return this.#slowStart ? weight * this.#counters.weightPart(this.#row) : weight;
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
    readSlowStart = (backend) => backend.#slowStart;
    writeConfig = (backend, config, slowStart) => {
      backend.#config = config;
      backend.#slowStart = slowStart;
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

/** As the constructor was told. */
export function hasSlowStart(backend: PoolBackend): boolean {
  return readSlowStart(backend);
}

/** A reload gave the same backend (`id` and `url` are equal) another weight, limit or other labels. */
export function reconfigure(
  backend: PoolBackend,
  config: BackendConfig,
  slowStart = hasSlowStart(backend),
): void {
  writeConfig(backend, config, slowStart);
}
