import type { Backend } from "../../plugin.ts";
import type { RetryReason } from "../../proxy/observer.ts";
import { backendLabels } from "./backend-labels.ts";
import { DurationSeries } from "./duration-series.ts";
import {
  CLIENT_DURATION,
  PICK_DURATION,
  PICK_FALLBACKS,
  RECONNECTS,
  RETRIES,
  RETRY_REFUSALS,
  SERVER_ACTIVE,
  SERVER_DURATION,
} from "./instruments.ts";
import type { HistogramSeries, NumberSeries, RegionWriter } from "./region-writer.ts";

type ByRoute = Map<string | null, Map<string, DurationSeries>>;
type ByPool = Map<string | null, ByRoute>;

/** Of HTTP, at every backend. */
const BACKEND_VERSION = "1.1";

/** The series that requests are counted in, each looked up by what is at hand when it is needed. */
export class RequestSeries {
  readonly #writer: RegionWriter;
  readonly #active = new Map<string, Map<string, NumberSeries>>();
  /** By version, pool, route and scheme. */
  readonly #routes = new Map<string, ByPool>();
  /** By the object, which a reload replaces when it is another backend. */
  readonly #backends = new WeakMap<Backend, BackendSeries>();
  readonly #pools = new Map<string, PoolSeries>();

  constructor(writer: RegionWriter) {
    this.#writer = writer;
  }

  active(method: string, scheme: string): NumberSeries {
    return this.#active.get(scheme)?.get(method) ?? this.#addActive(method, scheme);
  }

  /** `pool` and `route` are null for a request that was refused before it was routed. */
  durations(
    pool: string | null,
    route: string | null,
    scheme: string,
    version: string,
  ): DurationSeries {
    const found = this.#routes.get(version)?.get(pool)?.get(route)?.get(scheme);
    return found ?? this.#addDurations(pool, route, scheme, version);
  }

  backend(pool: string, backend: Backend): BackendSeries {
    let series = this.#backends.get(backend);
    if (series === undefined) {
      series = new BackendSeries(this.#writer, pool, backend);
      this.#backends.set(backend, series);
    }
    return series;
  }

  pool(name: string): PoolSeries {
    let series = this.#pools.get(name);
    if (series === undefined) {
      series = new PoolSeries(this.#writer, name);
      this.#pools.set(name, series);
    }
    return series;
  }

  #addActive(method: string, scheme: string): NumberSeries {
    const byMethod = this.#active.get(scheme) ?? new Map<string, NumberSeries>();
    this.#active.set(scheme, byMethod);
    const series = this.#writer.number(SERVER_ACTIVE, [method, scheme]);
    byMethod.set(method, series);
    return series;
  }

  #addDurations(
    pool: string | null,
    route: string | null,
    scheme: string,
    version: string,
  ): DurationSeries {
    const byPool: ByPool = this.#routes.get(version) ?? new Map();
    this.#routes.set(version, byPool);
    const byRoute: ByRoute = byPool.get(pool) ?? new Map();
    byPool.set(pool, byRoute);
    const byScheme = byRoute.get(route) ?? new Map<string, DurationSeries>();
    byRoute.set(route, byScheme);
    const path = routePath(route);
    const series = new DurationSeries((method, status, error) =>
      this.#writer.histogram(SERVER_DURATION, [method, scheme, status, path, error, pool, version]),
    );
    byScheme.set(scheme, series);
    return series;
  }
}

/** What is counted per backend. */
export class BackendSeries {
  readonly durations: DurationSeries;
  readonly reconnects: NumberSeries;

  constructor(writer: RegionWriter, pool: string, backend: Backend) {
    const labels = backendLabels(pool, backend);
    this.durations = new DurationSeries((method, status, error) =>
      writer.histogram(CLIENT_DURATION, [method, status, error, BACKEND_VERSION, ...labels]),
    );
    this.reconnects = writer.number(RECONNECTS, labels);
  }
}

/** What is counted per pool. */
export class PoolSeries {
  readonly refusals: NumberSeries;
  readonly #writer: RegionWriter;
  readonly #pool: string;
  readonly #retries = new Map<RetryReason, NumberSeries>();
  readonly #strategies = new Map<string, StrategySeries>();

  constructor(writer: RegionWriter, pool: string) {
    this.#writer = writer;
    this.#pool = pool;
    this.refusals = writer.number(RETRY_REFUSALS, [pool]);
  }

  retries(reason: RetryReason): NumberSeries {
    let series = this.#retries.get(reason);
    if (series === undefined) {
      series = this.#writer.number(RETRIES, [reason, this.#pool]);
      this.#retries.set(reason, series);
    }
    return series;
  }

  strategy(name: string): StrategySeries {
    let series = this.#strategies.get(name);
    if (series === undefined) {
      const labels = [this.#pool, name];
      series = {
        picks: this.#writer.histogram(PICK_DURATION, labels),
        fallbacks: this.#writer.number(PICK_FALLBACKS, labels),
      };
      this.#strategies.set(name, series);
    }
    return series;
  }
}

export interface StrategySeries {
  readonly picks: HistogramSeries;
  readonly fallbacks: NumberSeries;
}

/** `http.route` is a path, as on spans: the host of `api.example.com/v1/*` is no part of it. */
function routePath(route: string | null): string | null {
  const at = route?.indexOf("/") ?? -1;
  return route === null || at === -1 ? null : route.slice(at);
}
