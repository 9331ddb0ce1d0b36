/**
 * What `import … from "leastwise/testing"` gives to the tests of strategies: a strategy in its real
 * host, with made-up backends, requests, clock and randomness. Nothing waits and no socket is opened.
 *
 * Declarations only, as in `plugin.ts`: this file is also what an author's editor reads.
 */
import type { Attempt, Backend, Health, Outcome, StrategyPlugin } from "./plugin.ts";

/** What a made-up backend is like; what is left out is ordinary. */
export interface FakeBackendSpec {
  /** `backend-1`, `backend-2` … unless given. */
  readonly id?: string;
  readonly url?: string;
  /** 1 unless given. */
  readonly weight?: number;
  readonly labels?: Readonly<Record<string, string>>;
  /** `unknown` unless given, which counts as available. */
  readonly health?: Health;
  readonly draining?: boolean;
  /** Requests that it has already, from elsewhere. */
  readonly inFlight?: number;
}

/** What can change about a backend while it is in its pool. */
export type FakeBackendChange = Omit<FakeBackendSpec, "id" | "url">;

/** That many equal backends, or one for each description. */
export declare function fakeBackends(count: 1): readonly [Backend];
export declare function fakeBackends(count: 2): readonly [Backend, Backend];
export declare function fakeBackends(count: 3): readonly [Backend, Backend, Backend];
export declare function fakeBackends(count: 4): readonly [Backend, Backend, Backend, Backend];
export declare function fakeBackends(count: number): readonly [Backend, ...Backend[]];
export declare function fakeBackends<const Specs extends readonly FakeBackendSpec[]>(
  specs: Specs,
): { readonly [Index in keyof Specs]: Backend };

/** Time that passes only when a test says so. */
export interface FakeClock {
  /** Milliseconds. */
  now(): number;
  advance(ms: number): void;
}

/** Starts at 0 unless told otherwise. */
export declare function fakeClock(startMs?: number): FakeClock;

/** Uniform numbers in [0, 1) that the seed decides, the same on every machine. */
export declare function seededRandom(seed: number): () => number;

/** What a made-up request is like; what is left out is ordinary. */
export interface FakeRequestSpec {
  /** GET unless given. */
  readonly method?: string;
  /** `/` unless given. */
  readonly path?: string;
  /** Without the `?`. */
  readonly query?: string;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly clientAddress?: string;
}

export interface RehearseOptions {
  /** How many, or those of `fakeBackends`; 3 unless given. */
  readonly backends?: number | readonly Backend[];
  /** As the config gives them, not parsed. */
  readonly options?: unknown;
  /** Of the randomness; 1 unless given. */
  readonly seed?: number;
  /** A clock of the test's own, for example to share it between two rehearsals. */
  readonly clock?: FakeClock;
  /** What `env.previous` is to be. */
  readonly previous?: unknown;
}

/** How a request is placed. */
export interface PickStep {
  /** 1 unless given. */
  readonly attempt?: number;
  /** Backends that are no candidates, by id. */
  readonly without?: readonly string[];
  readonly failOpen?: boolean;
}

/** A strategy at work. A fault of the strategy is thrown by the call that brought it about. */
export interface RehearsedPool {
  readonly backends: readonly Backend[];
  readonly clock: FakeClock;
  /** Asks the strategy and sends nothing. Null: it refuses the request. */
  pick(request?: FakeRequestSpec, how?: PickStep): Backend | null;
  /** Asks the strategy and sends the request, which is in flight until `complete`. Throws if it is refused. */
  send(request?: FakeRequestSpec, how?: PickStep): Attempt;
  /** Sends a request that something else placed, a sticky cookie for example. */
  start(backend: Backend, request?: FakeRequestSpec): Attempt;
  /** Something about a backend is different from now on; the strategy hears of its health. */
  change(backend: Backend, change: FakeBackendChange): void;
  /** Backends leave, or new ones join. */
  setBackends(backends: readonly Backend[]): void;
  /** What the strategy leaves to its next version. */
  snapshot(): unknown;
  /** The strategy hears of it when its last attempt has ended. */
  dispose(): void;
}

/** Puts a strategy to work. Throws what is wrong with its options or its shape. */
export declare function rehearse(
  plugin: StrategyPlugin<unknown>,
  options?: RehearseOptions,
): RehearsedPool;

/** How an attempt ends; `ok` with status 200 unless told otherwise. */
export interface Completion {
  readonly outcome?: Outcome;
  /** Null: no response head arrived. */
  readonly status?: number | null;
  /** By so much the clock advances first. */
  readonly afterMs?: number;
  /** When the head arrived; with the end unless given. */
  readonly firstByteMs?: number;
  /** Of the response. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The connection became a tunnel (WebSocket). */
  readonly upgraded?: boolean;
}

/** Ends an attempt of `send` or `start`, once. */
export declare function complete(attempt: Attempt, how?: Completion): void;

/** One promise that every strategy keeps. */
export interface SuiteCase {
  /** A situation in plain words. */
  readonly name: string;
  /** Throws an Error that says what the strategy did, with the shortest history that shows it. */
  run(): void;
}

/**
 * What every strategy must survive and keep, for any test runner:
 *
 *     for (const { name, run } of strategySuite(strategy)) test(name, run);
 */
export declare function strategySuite(
  plugin: StrategyPlugin<unknown>,
  options?: unknown,
): readonly SuiteCase[];

/** One thing that happens to a pool. What it names and is not there (any more) is passed over. */
export type Step =
  /** A request: one of the available backends is picked, and gets it. */
  | readonly ["pick", PickStep?]
  /** A request that something else than the strategy placed. */
  | readonly ["start", backend: string]
  /** The request at this place among the running ones ends, the oldest is 0. */
  | readonly ["end", running: number, outcome?: Outcome]
  | readonly ["wait", ms: number]
  | readonly ["join", weight: number]
  | readonly ["leave", backend: string]
  | readonly ["health", backend: string, to: Health];

/** Everything that decides a run of a strategy: the same history, the same picks. */
export interface History {
  readonly seed: number;
  /** One backend each at the start: backend-1, backend-2 and so on. */
  readonly weights: readonly number[];
  readonly steps: readonly Step[];
  /** As the config gives them. */
  readonly options?: unknown;
  /** What an older version of the strategy left: `env.previous`. */
  readonly previous?: unknown;
}

/**
 * What a strategy owes its host. `answers`: every pick is a candidate or null, and nothing is thrown.
 * `readonly`: nothing that was given is changed. `repeatable`: seed and clock of `env` decide the
 * picks. `apart`: instances share no state. `snapshot`: survives JSON and is read by the next
 * instance. `dispose`: may come twice.
 */
export type PromiseName = "answers" | "readonly" | "repeatable" | "apart" | "snapshot" | "dispose";

/** Plays a history and throws when the strategy breaks the promise in it: what `plugin check` writes tests with. */
export declare function keepsPromise(
  promise: PromiseName,
  plugin: StrategyPlugin<unknown>,
  history: History,
): void;
