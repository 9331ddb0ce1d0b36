import type { Schedule } from "../health/prober.ts";
import type { Logger } from "../log.ts";
import type { Place } from "./place.ts";
import type { WorkerHandle } from "./worker-handle.ts";

export interface ReplacementsOptions {
  /** Throws what the system throws. */
  readonly spawn: (index: number) => WorkerHandle;
  /** Until the worker of this place serves, or has ended; whether it does. */
  readonly bringUp: (place: Place) => Promise<boolean>;
  readonly isStopping: () => boolean;
  readonly now: () => number;
  readonly schedule: Schedule;
  readonly log: Logger;
}

/** A worker that served for this long and dies is replaced at once. */
const STABLE_MS = 10_000;
/** Waits before the replacements of one that keeps dying. */
const BACKOFF_MS = [0, 100, 500, 1000, 2000, 5000];

/** Puts new workers where others have died. */
export class Replacements {
  readonly #options: ReplacementsOptions;

  constructor(options: ReplacementsOptions) {
    this.#options = options;
  }

  /** The worker of a place has ended. */
  ended(place: Place, reason: string): void {
    const { log, now } = this.#options;
    const { worker } = place;
    const quick = now() - place.startedAtMs < STABLE_MS;
    place.quickDeaths = quick ? place.quickDeaths + 1 : 0;
    const fields = { worker: worker.index, pid: worker.pid, reason, waitMs: waitBefore(place) };
    log.error("worker ended, replacing it", fields);
    this.later(place);
  }

  /** Unless the place is taken by then. */
  later(place: Place): void {
    this.#options.schedule(waitBefore(place), () => this.#replace(place));
  }

  /** What kept its workers from serving may be over. */
  anew(place: Place): void {
    place.quickDeaths = 0;
    this.later(place);
  }

  #replace(place: Place): void {
    const { spawn, bringUp, isStopping, log, now } = this.#options;
    if (isStopping() || place.worker.alive || place.successor !== null) return;
    place.startedAtMs = now();
    try {
      place.worker = spawn(place.index);
    } catch (error) {
      place.quickDeaths++;
      const reason = error instanceof Error ? error.message : String(error);
      const fields = { worker: place.index, reason, waitMs: waitBefore(place) };
      log.error("no worker can be started, trying again", fields);
      this.later(place);
      return;
    }
    place.restarts++;
    place.coming = bringUp(place).then((serves) => {
      if (serves) log.info("worker replaced", { worker: place.index, pid: place.worker.pid });
    });
  }
}

function waitBefore({ quickDeaths }: Place): number {
  return BACKOFF_MS[Math.min(quickDeaths, BACKOFF_MS.length) - 1] ?? 0;
}
