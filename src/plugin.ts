/**
 * The plugin API, version 1: what a strategy is given and what it must answer.
 *
 * Types only. A strategy file needs no run-time import: this file exists for editors and for the
 * type checker. Everything a strategy may touch is in here; bodies are out of reach.
 */

/** Whether probes find the backend well. `unknown` (no probe has answered yet) counts as available. */
export type Health = "unknown" | "healthy" | "unhealthy";

/** One server that requests are sent to. The same object for as long as the backend stays in its pool. */
export interface Backend {
  /** Unique in its pool; `host:port` unless the config names it. */
  readonly id: string;
  /** For example `http://10.0.0.1:3000`, without a path. */
  readonly url: string;
  /**
   * Above 0; 1 unless configured. Twice the weight means twice the share. With a slow start it is less
   * for a while after the backend has become available, and grows: read it for each pick.
   */
  readonly weight: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly health: Health;
  /** Taken out by the operator: finishes what it has, is never a candidate. */
  readonly draining: boolean;
  /**
   * Requests sent and not finished, over all workers, for this pool. A streaming response counts
   * until its body ends; an idle keep-alive connection never counts.
   */
  readonly inFlight: number;
}

/** Frozen, never empty, and without the backends already tried for this request. */
export type Candidates = readonly [Backend, ...Backend[]];

/** Header fields by case-insensitive name; repeated fields are joined with `, `. */
export interface HeaderReader {
  get(name: string): string | null;
  has(name: string): boolean;
}

/** The client's request as a strategy sees it. */
export interface RequestInfo {
  readonly method: string;
  /** Starts with `/`; without the query. */
  readonly path: string;
  /** Without the `?`; empty when there is none. */
  readonly query: string;
  /** The Host field as sent, port included. */
  readonly host: string;
  readonly headers: HeaderReader;
  /** IP address of the client. */
  readonly clientAddress: string;
}

/** A new object for each pick. */
export interface PickContext {
  readonly request: RequestInfo;
  /** 1 for the first attempt of a request. */
  readonly attempt: number;
  /** True when every backend is ejected and requests are sent anyway. */
  readonly failOpen: boolean;
}

/** One try to send one request to one backend. */
export interface Attempt {
  /** Unique within the worker. */
  readonly id: number;
  readonly backend: Backend;
  /** 1 for the first attempt of a request. */
  readonly number: number;
  readonly request: RequestInfo;
  /** Milliseconds on the clock of `env.now()`. */
  readonly startedAt: number;
}

/** How an attempt ended. `client_gone` is nobody's fault. */
export type Outcome =
  "ok" | "connect" | "reset" | "timeout" | "truncated" | "invalid" | "client_gone";

/** The head of a backend's response. */
export interface AttemptHead {
  readonly status: number;
  /** Milliseconds from the start of the attempt to the response head. */
  readonly firstByteMs: number;
  readonly headers: HeaderReader;
  /** The connection became a tunnel (WebSocket): its duration says nothing about speed. */
  readonly upgraded: boolean;
}

/** The end of an attempt. */
export interface AttemptEnd {
  readonly outcome: Outcome;
  /** Null when no response head arrived. */
  readonly status: number | null;
  readonly firstByteMs: number | null;
  readonly durationMs: number;
}

/**
 * One instance serves one pool in one worker. Calls never overlap, and none comes before the first
 * `onPoolChange`. Define `score` or `pick`; `pick` wins if both exist.
 *
 * A fault (a throw, a Promise, a score that is NaN, -Infinity or no number, a pick that is
 * undefined or not a candidate) never fails a request: least connections answers that pick instead.
 */
export interface Strategy {
  /** Lower is better; `Infinity` means not this one. The host takes the lowest and breaks ties fairly by weight. */
  score?(backend: Backend, context: PickContext): number;
  /** One of the candidates, or null to refuse the request (503 `strategy_refused`). */
  pick?(candidates: Candidates, context: PickContext): Backend | null;
  /** The pool's backends, available or not: once at the start and after every change. */
  onPoolChange?(backends: readonly Backend[]): void;
  onHealthChange?(backend: Backend, from: Health, to: Health): void;
  /** The request is about to be sent. Also for attempts that something else than this strategy placed. */
  onStart?(attempt: Attempt): void;
  onResponse?(attempt: Attempt, head: AttemptHead): void;
  /** Exactly once for every `onStart` while the process lives. */
  onEnd?(attempt: Attempt, end: AttemptEnd): void;
  /** Plain data that the next version of this strategy finds in `env.previous`. */
  snapshot?(): unknown;
  dispose?(): void;
}

/** Goes to the process's log with the pool's and the strategy's name. */
export interface StrategyLogger {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** Text is cut after 256 characters; a number must be finite. */
export type SpanValue = string | number | boolean;

/**
 * Says something about the attempt whose `score`, `pick`, `onStart`, `onResponse` or `onEnd` is running,
 * in its trace. Elsewhere, after an `await`, and for requests that are not traced it does nothing.
 *
 * Names are 1 to 64 letters, digits, `_`, `.` and `-`, beginning with a letter; the trace shows them
 * after `leastwise.plugin.`. An attempt takes 32 attributes and events, an event 16 attributes.
 */
export interface StrategySpan {
  setAttribute(name: string, value: SpanValue): void;
  addEvent(name: string, attributes?: Readonly<Record<string, SpanValue>>): void;
}

export interface StrategyCounter {
  /** `n` is 1 unless given, finite and not negative. */
  add(n?: number): void;
}

/** What a strategy instance gets from its host. Take the clock and randomness from here, or it cannot be simulated. */
export interface StrategyEnv<Options = void> {
  /** The pool's name. */
  readonly pool: string;
  readonly options: Options;
  readonly log: StrategyLogger;
  readonly span: StrategySpan;
  /**
   * A count of the strategy's own, shown among the metrics; all workers' are added up. The same name gives
   * the same counter. At most 32 names, like those of `span`; further ones count nothing, which is logged.
   */
  counter(name: string): StrategyCounter;
  /** Monotonic milliseconds. */
  now(): number;
  /** Uniform in [0, 1), seeded per worker. */
  random(): number;
  /** State per backend, made on first use and forgotten when the backend leaves the pool. */
  perBackend<S>(init: (backend: Backend) => S): (backend: Backend) => S;
  /** What `snapshot()` of the instance before this one returned, if its plugin had the same name; else undefined. */
  readonly previous: unknown;
}

/** The default export of a strategy file. */
export interface StrategyPlugin<Options = void> {
  /** Letters, digits and `-`. */
  readonly name: string;
  readonly apiVersion: 1;
  readonly description?: string;
  /** Turns the config's `options` into `Options`, or throws an Error that says what is wrong. */
  readonly parseOptions?: (raw: unknown) => Options;
  /** Called once per pool and worker. */
  create(env: StrategyEnv<Options>): Strategy;
}

/** A plugin whose options are not void must say how they are parsed. */
export type StrategyDefinition<Options> = StrategyPlugin<Options> &
  ([Options] extends [void] ? unknown : { readonly parseOptions: (raw: unknown) => Options });
