/** Every metric there is, in the one table that workers, master, exposition and export share. */
import {
  BACKEND_ID,
  ERROR_TYPE,
  HTTP_REQUEST_METHOD,
  HTTP_RESPONSE_STATUS_CODE,
  HTTP_ROUTE,
  NETWORK_PROTOCOL_VERSION,
  POOL,
  SERVER_ADDRESS,
  SERVER_PORT,
  STRATEGY,
  URL_SCHEME,
} from "../attributes.ts";
import type { Instrument, InstrumentKind } from "./instrument.ts";

/** HTTP semantic conventions 1.44. */
const DURATION_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
/** A pick takes a few microseconds; one of a millisecond is a strategy that does too much. */
export const PICK_BOUNDS = [
  0.000_001, 0.000_002_5, 0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5,
  0.001, 0.002_5, 0.005, 0.01,
];

/** As configured: the conventions' Host that was sent could be the client's, without end. */
const BACKEND = [POOL, BACKEND_ID, SERVER_ADDRESS, SERVER_PORT];

export const CONNECTION_STATE = "http.connection.state";
export const BACKEND_STATE = "leastwise.backend.state";
export const HEALTH = "leastwise.health";
export const EJECTION_REASON = "leastwise.ejection.reason";
export const RETRY_REASON = "leastwise.retry.reason";
export const STRATEGY_METHOD = "leastwise.strategy.method";
export const SHADOW_INDEX = "leastwise.shadow.index";
export const SHADOW_RESULT = "leastwise.shadow.result";
export const COUNTER_NAME = "leastwise.counter.name";

export const SERVER_DURATION = histogram(
  "http.server.request.duration",
  "Duration of requests of clients, to the end of the answer.",
  DURATION_BOUNDS,
  [
    HTTP_REQUEST_METHOD,
    URL_SCHEME,
    HTTP_RESPONSE_STATUS_CODE,
    HTTP_ROUTE,
    ERROR_TYPE,
    POOL,
    NETWORK_PROTOCOL_VERSION,
  ],
);
export const CLIENT_DURATION = histogram(
  "http.client.request.duration",
  "Duration of attempts at backends, to the end of the answer.",
  DURATION_BOUNDS,
  [
    HTTP_REQUEST_METHOD,
    HTTP_RESPONSE_STATUS_CODE,
    ERROR_TYPE,
    NETWORK_PROTOCOL_VERSION,
    ...BACKEND,
  ],
);
export const SERVER_ACTIVE = single(
  "upDownCounter",
  "http.server.active_requests",
  "{request}",
  "Requests of clients under way.",
  [HTTP_REQUEST_METHOD, URL_SCHEME],
);
export const CLIENT_ACTIVE = single(
  "upDownCounter",
  "http.client.active_requests",
  "{request}",
  "Requests in flight at the backend.",
  BACKEND,
);
export const CLIENT_CONNECTIONS = single(
  "upDownCounter",
  "http.client.open_connections",
  "{connection}",
  "Open connections to the backend.",
  [CONNECTION_STATE, ...BACKEND],
);
export const SERVER_CONNECTIONS = single(
  "upDownCounter",
  "leastwise.client.connections",
  "{connection}",
  "Open connections of clients over TCP.",
  [],
);
export const BACKEND_UP = single(
  "gauge",
  "leastwise.backend.up",
  "{backend}",
  "0 when probes say that the backend is down, else 1.",
  BACKEND,
);
export const BACKEND_STATUS = single(
  "upDownCounter",
  "leastwise.backend.status",
  "{backend}",
  "1 for the state that the backend is in, 0 for the others.",
  [BACKEND_STATE, ...BACKEND],
);
export const BACKEND_REQUESTS = single(
  "counter",
  "leastwise.backend.requests",
  "{request}",
  "Attempts started at the backend.",
  BACKEND,
);
export const BACKEND_FAILURES = single(
  "counter",
  "leastwise.backend.failures",
  "{request}",
  "Attempts that count for the backend's ejection.",
  BACKEND,
);
export const EJECTIONS = single(
  "counter",
  "leastwise.backend.ejections",
  "{ejection}",
  "Ejections of the backend, by reason.",
  [EJECTION_REASON, ...BACKEND],
);
export const HEALTH_CHANGES = single(
  "counter",
  "leastwise.backend.health_changes",
  "{change}",
  "Changes of the backend's health, by what it became.",
  [HEALTH, ...BACKEND],
);
export const RETRIES = single(
  "counter",
  "leastwise.retries",
  "{retry}",
  "Attempts after the first, by what became of the one before.",
  [RETRY_REASON, POOL],
);
export const RETRY_REFUSALS = single(
  "counter",
  "leastwise.retry_budget.refusals",
  "{retry}",
  "Retries that the budget did not allow.",
  [POOL],
);
export const RECONNECTS = single(
  "counter",
  "leastwise.reconnects",
  "{reconnect}",
  "Requests sent again over a fresh connection, because the backend had closed an idle one.",
  BACKEND,
);
export const PICK_DURATION = histogram(
  "leastwise.pick.duration",
  "Time that the strategy took to pick a backend.",
  PICK_BOUNDS,
  [POOL, STRATEGY],
);
export const PICK_FALLBACKS = single(
  "counter",
  "leastwise.pick.fallbacks",
  "{pick}",
  "Picks that least connections made because the strategy could not.",
  [POOL, STRATEGY],
);
export const PICK_ERRORS = single(
  "counter",
  "leastwise.pick.errors",
  "{error}",
  "Picks in which the strategy threw, or returned what it must not.",
  [POOL, STRATEGY],
);
export const PICKS_SLOW = single(
  "counter",
  "leastwise.pick.slow",
  "{pick}",
  "Picks of more than 10 ms, in which their worker did nothing else.",
  [POOL, STRATEGY],
);
export const STRATEGY_FAULTS = single(
  "counter",
  "leastwise.strategy.faults",
  "{fault}",
  "Faults of the strategy in all its methods, hooks included.",
  [STRATEGY_METHOD, POOL, STRATEGY],
);
export const STRATEGY_QUARANTINED = single(
  "upDownCounter",
  "leastwise.strategy.quarantined",
  "{worker}",
  "Workers in which the strategy is not asked any more.",
  [POOL, STRATEGY],
);
export const STRATEGY_EVENTS = single(
  "counter",
  "leastwise.strategy.events",
  "{event}",
  "Events that strategies count themselves, by name.",
  [COUNTER_NAME, POOL, STRATEGY],
);
export const WORKERS = single(
  "upDownCounter",
  "leastwise.workers",
  "{worker}",
  "Workers that serve.",
  [],
);
export const WORKER_RESTARTS = single(
  "counter",
  "leastwise.worker.restarts",
  "{restart}",
  "Workers that were replaced.",
  [],
);
export const ACCESS_LOG_DROPPED = single(
  "counter",
  "leastwise.access_log.dropped",
  "{line}",
  "Lines of the access log that could not be written.",
  [],
);
export const CONFIG_RELOADS = single(
  "counter",
  "leastwise.config.reloads",
  "{reload}",
  "Reloads of the configuration, also those that failed.",
  [],
);
export const CONFIG_LAST_SUCCESS = single(
  "gauge",
  "leastwise.config.last_reload_success",
  "{reload}",
  "1 when the last load of the configuration succeeded, else 0.",
  [],
);
export const CONFIG_LAST_TIME = single(
  "gauge",
  "leastwise.config.last_reload_time",
  "s",
  "Unix time of the last load of the configuration that succeeded.",
  [],
);
const SHADOW = [POOL, STRATEGY, SHADOW_INDEX];
export const SHADOW_RUNNING = single(
  "upDownCounter",
  "leastwise.shadow.running",
  "{shadow}",
  "1 while the shadow runs, 0 when it has stopped.",
  SHADOW,
);
export const SHADOW_PICKS = single(
  "counter",
  "leastwise.shadow.picks",
  "{pick}",
  "Requests that the shadow decided about, by how it did beside the acting strategy.",
  [SHADOW_RESULT, ...SHADOW],
);
export const SHADOW_PICK_DURATION = histogram(
  "leastwise.shadow.pick.duration",
  "Time in which the shadow picked a backend.",
  PICK_BOUNDS,
  SHADOW,
);
export const SHADOW_FAULTS = single(
  "counter",
  "leastwise.shadow.faults",
  "{fault}",
  "Faults of the shadow in all its methods.",
  SHADOW,
);
export const SHADOW_DROPPED = single(
  "counter",
  "leastwise.shadow.dropped",
  "{request}",
  "Requests of its pool that the shadow was not shown.",
  SHADOW,
);
export const SHADOW_REQUESTS = single(
  "counter",
  "leastwise.shadow.requests",
  "{request}",
  "Requests that the backend would have had with the shadow, those of clients' sessions included.",
  [STRATEGY, SHADOW_INDEX, ...BACKEND],
);
export const SHADOW_ACTIVE = single(
  "upDownCounter",
  "leastwise.shadow.in_flight",
  "{request}",
  "Requests that would be in flight at the backend with the shadow.",
  [STRATEGY, SHADOW_INDEX, ...BACKEND],
);

/** In the order in which they are shown; a region names an instrument by its place here. */
export const INSTRUMENTS: readonly Instrument[] = [
  SERVER_DURATION,
  SERVER_ACTIVE,
  SERVER_CONNECTIONS,
  CLIENT_DURATION,
  CLIENT_ACTIVE,
  CLIENT_CONNECTIONS,
  BACKEND_UP,
  BACKEND_STATUS,
  BACKEND_REQUESTS,
  BACKEND_FAILURES,
  EJECTIONS,
  HEALTH_CHANGES,
  RETRIES,
  RETRY_REFUSALS,
  RECONNECTS,
  PICK_DURATION,
  PICK_FALLBACKS,
  PICK_ERRORS,
  PICKS_SLOW,
  STRATEGY_FAULTS,
  STRATEGY_QUARANTINED,
  STRATEGY_EVENTS,
  WORKERS,
  WORKER_RESTARTS,
  ACCESS_LOG_DROPPED,
  CONFIG_RELOADS,
  CONFIG_LAST_SUCCESS,
  CONFIG_LAST_TIME,
  SHADOW_RUNNING,
  SHADOW_PICKS,
  SHADOW_PICK_DURATION,
  SHADOW_FAULTS,
  SHADOW_DROPPED,
  SHADOW_REQUESTS,
  SHADOW_ACTIVE,
];

function histogram(
  name: string,
  description: string,
  bounds: readonly number[],
  labels: readonly string[],
): Instrument {
  return { name, unit: "s", description, kind: "histogram", bounds, labels };
}

function single(
  kind: Exclude<InstrumentKind, "histogram">,
  name: string,
  unit: string,
  description: string,
  labels: readonly string[],
): Instrument {
  return { name, unit, description, kind, bounds: [], labels };
}
