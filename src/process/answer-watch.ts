import type { Schedule } from "../health/prober.ts";
import type { WorkerPulse } from "../pool/worker-pulse.ts";
import type { WatchedWorker } from "./watchdog.ts";

export interface AskedWorker extends WatchedWorker {
  readonly alive: boolean;
  /** Anything; null when it did not answer in time. */
  ping(): Promise<unknown>;
}

export interface AnswerWatchOptions {
  /** Those that live. */
  readonly workers: () => Iterable<AskedWorker>;
  readonly pulseOf: (column: number) => WorkerPulse;
  readonly now: () => number;
  readonly schedule: Schedule;
  /** It will not answer any more, though its event loop goes round. Told once per worker. */
  onSilent(worker: AskedWorker, text: string): void;
}

const ASK_MS = 1000;
/** Beats within the time that an answer is waited for: its event loop went round, and the answer was not there. */
const BEATS = 3;
/** A wait that takes longer than this was the master's own pause. */
const WAITED_MS = 1500;
/** Answers that are missing in a row, while it beats, before a worker is given up. */
const MISSES = 4;
/** Answers that are missing in a row, for whatever reason, before nobody is sent to it. */
const SILENT_AFTER = 2;

interface Silence {
  /** Of these in a row, it did beat. */
  misses: number;
  unanswered: number;
}

/**
 * Finds workers that live and answer nobody: a strategy has closed a descriptor that was not its own, or taken away
 * what our code needs. One that does not beat either is none of them: it is stopped, starved or busy.
 */
export class AnswerWatch {
  readonly #options: AnswerWatchOptions;
  readonly #silences = new WeakMap<AskedWorker, Silence>();
  #cancel = (): void => {};

  constructor(options: AnswerWatchOptions) {
    this.#options = options;
  }

  start(): void {
    const { schedule, workers } = this.#options;
    this.#cancel = schedule(ASK_MS, () => {
      for (const worker of workers()) void this.#ask(worker);
      this.start();
    });
  }

  stop(): void {
    this.#cancel();
  }

  /** Whether it answered lately, or was not asked yet. */
  answers(worker: AskedWorker): boolean {
    return (this.#silences.get(worker)?.unanswered ?? 0) < SILENT_AFTER;
  }

  async #ask(worker: AskedWorker): Promise<void> {
    const { pulseOf, now, onSilent } = this.#options;
    const pulse = pulseOf(worker.column);
    const { beats } = pulse;
    // It comes up.
    if (beats === 0) return;
    const askedAtMs = now();
    const answer = await worker.ping();
    if (answer !== null || !worker.alive) {
      this.#silences.delete(worker);
      return;
    }
    const silence = this.#silences.get(worker) ?? { misses: 0, unanswered: 0 };
    this.#silences.set(worker, silence);
    silence.unanswered++;
    if (pulse.beats - beats < BEATS || now() - askedAtMs > WAITED_MS) return;
    silence.misses++;
    if (silence.misses !== MISSES) return;
    onSilent(worker, `answers its master no more, though it is awake: asked ${MISSES} times`);
  }
}
