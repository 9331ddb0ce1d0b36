import type { Schedule } from "../health/prober.ts";
import type { WorkerPulse } from "../pool/worker-pulse.ts";
import type { ProcessMemory, ProcessUsages } from "./process-usage.ts";

export interface WatchedWorker {
  /** Its place among the workers. */
  readonly index: number;
  readonly pid: number;
  /** Whose pulse it has. */
  readonly column: number;
  kill(): void;
}

export interface WatchdogLimits {
  /** Null: workers may compute for as long as they like. */
  readonly watchdogMs: number | null;
  readonly workerMemoryBytes: number;
}

export interface HangCause {
  readonly kind: "computes" | "sleeps" | "memory" | "silent";
  /** Goes on a sentence that begins with `it`. */
  readonly text: string;
}

export interface WatchdogOptions {
  /** Those that live. */
  readonly workers: () => Iterable<WatchedWorker>;
  readonly pulseOf: (column: number) => WorkerPulse;
  readonly usages: ProcessUsages;
  /** Those that are in force. */
  readonly limits: () => WatchdogLimits;
  /** Whether a worker serves in every place. */
  readonly isWhole: () => boolean;
  readonly now: () => number;
  readonly schedule: Schedule;
  /** It has to be ended. Told once per worker. */
  onHanging(worker: WatchedWorker, cause: HangCause): void;
  /** It has most of the memory that it may have; told at every look. */
  onFull(worker: WatchedWorker, text: string): void;
}

/** How often a worker beats. */
export const BEAT_MS = 100;
/** A little longer, so that a worker that is well has beaten between two looks. */
const LOOK_MS = 125;
/**
 * Of the time without a beat, this share must have been computed: the rest may have been waited for a processor. Or
 * as much as the watchdog allows, in however long.
 */
const COMPUTED_SHARE = 1 / 4;
/** From this share of its memory on a worker is better replaced while there is time to do it politely. */
const FULL_SHARE = 0.9;
/** So many times what it may have is waited for nobody: the machine's memory is next. */
const EXCESS = 2;
/** In /proc, by a signal. */
const STOPPED = "T";
/** A call into a strategy that sleeps, as `Bun.sleepSync` does, is given so many times as long. */
const SLEEP_FACTOR = 5;

/** What is known of a worker since its last beat. */
interface Silence {
  readonly beats: number;
  /** Not longer than the master itself was awake. */
  quietMs: number;
  /** Of its main thread when the silence was noticed; null before. */
  cpuMs: number | null;
  /** Whether it slept, in a call into a strategy, at every look. */
  sleeping: boolean;
}

/**
 * Finds workers that hang or have eaten too much memory.
 *
 * Only what a worker does itself counts against it. One that does not compute is stopped or starved
 * by others and will go on by itself, and while the master was not running nobody was watched.
 */
export class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #silences = new WeakMap<WatchedWorker, Silence>();
  readonly #condemned = new WeakSet<WatchedWorker>();
  #lookedAtMs = 0;
  #cancel = (): void => {};

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  start(): void {
    this.#lookedAtMs = this.#options.now();
    this.#lookLater();
  }

  stop(): void {
    this.#cancel();
  }

  #lookLater(): void {
    this.#cancel = this.#options.schedule(LOOK_MS, () => {
      this.#look();
      this.#lookLater();
    });
  }

  #look(): void {
    const { workers, limits, now } = this.#options;
    const elapsedMs = Math.min(now() - this.#lookedAtMs, 2 * LOOK_MS);
    this.#lookedAtMs = now();
    let isWhole = this.#options.isWhole();
    let largest: (ProcessMemory & { readonly worker: WatchedWorker }) | null = null;
    for (const worker of workers()) {
      if (this.#condemned.has(worker)) {
        isWhole = false;
        continue;
      }
      const memory = this.#options.usages.memoryOf(worker.pid);
      // Gone, and its end will be told; or a platform on which nothing can be known.
      if (memory === null) continue;
      const cause = this.#causeToEnd(worker, memory, elapsedMs);
      if (cause !== null) {
        this.#condemn(worker, cause);
        isWhole = false;
      } else if (memory.bytes > (largest?.bytes ?? 0)) largest = { ...memory, worker };
      if (memory.bytes >= limits().workerMemoryBytes * FULL_SHARE) {
        this.#options.onFull(worker, memoryText(memory.bytes, limits()));
      }
    }
    if (largest !== null) this.#weigh(largest.worker, largest.bytes, isWhole);
  }

  #condemn(worker: WatchedWorker, cause: HangCause): void {
    this.#condemned.add(worker);
    this.#options.onHanging(worker, cause);
  }

  /** One at a time: what all of them keep fills all of them at once, and somebody must serve meanwhile. */
  #weigh(worker: WatchedWorker, bytes: number, isWhole: boolean): void {
    const limits = this.#options.limits();
    const { workerMemoryBytes } = limits;
    if (bytes <= workerMemoryBytes * (isWhole ? 1 : EXCESS)) return;
    this.#condemn(worker, { kind: "memory", text: memoryText(bytes, limits) });
  }

  #causeToEnd(worker: WatchedWorker, memory: ProcessMemory, elapsedMs: number): HangCause | null {
    const { usages, limits } = this.#options;
    const { watchdogMs } = limits();
    const silence = this.#listen(worker, memory, elapsedMs);
    if (silence === null || watchdogMs === null || silence.quietMs < watchdogMs) return null;
    const quietMs = Math.round(silence.quietMs);
    const computedMs =
      (usages.cpuOf(worker.pid) ?? 0) - (silence.cpuMs ?? Number.POSITIVE_INFINITY);
    if (computedMs >= Math.min(silence.quietMs * COMPUTED_SHARE, watchdogMs)) {
      const text = `computes without a break for ${quietMs} ms, and watchdog allows ${watchdogMs} ms`;
      return { kind: "computes", text };
    }
    if (silence.sleeping && silence.quietMs >= watchdogMs * SLEEP_FACTOR) {
      return { kind: "sleeps", text: `sleeps in a strategy's code for ${quietMs} ms` };
    }
    return null;
  }

  /** Null when the worker has beaten since the last look, or has not begun to. */
  #listen(worker: WatchedWorker, memory: ProcessMemory, elapsedMs: number): Silence | null {
    const pulse = this.#options.pulseOf(worker.column);
    const { beats } = pulse;
    if (beats === 0) return null;
    const sleeping = memory.state === "S" && pulse.call !== null;
    const silence = this.#silences.get(worker);
    // While it is stopped nothing counts, and afterwards it has as much time as any other.
    if (silence?.beats !== beats || memory.state === STOPPED) {
      this.#silences.set(worker, { beats, quietMs: 0, cpuMs: null, sleeping: true });
      return null;
    }
    silence.cpuMs ??= this.#options.usages.cpuOf(worker.pid);
    silence.quietMs += elapsedMs;
    silence.sleeping &&= sleeping;
    return silence;
  }
}

function memoryText(bytes: number, { workerMemoryBytes }: WatchdogLimits): string {
  return `has ${mebibytes(bytes)} of memory, and workerMemory allows ${mebibytes(workerMemoryBytes)}`;
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
