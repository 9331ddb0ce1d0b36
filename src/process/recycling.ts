import { RuntimeError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { type HeldModules, MOST_SUPERSEDED_BYTES } from "./held-modules.ts";
import type { Plan } from "./messages.ts";

/** Where a worker is. */
export interface RecycledPlace {
  readonly index: number;
  readonly worker: { readonly modules: HeldModules };
}

export interface RecyclingOptions<Place> {
  readonly places: () => readonly Place[];
  /** Puts a new worker in the place of the one that is there. Throws RuntimeError when that goes on. */
  readonly replace: (place: Place) => Promise<void>;
  /** Much of its metrics is about what this plan, which is in force, does not have. */
  readonly outgrown: (place: Place, plan: Plan) => boolean;
  readonly log: Logger;
}

/** Replaces workers that are well, one after the other. */
export class Recycling<Place extends RecycledPlace> {
  readonly #options: RecyclingOptions<Place>;
  #running: { readonly whole: boolean; readonly done: Promise<void> } | null = null;

  constructor(options: RecyclingOptions<Place>) {
    this.#options = options;
  }

  /**
   * All of them. Who asks while this is under way gets its outcome. Throws what `replace` throws, and leaves the rest
   * alone.
   */
  recycle(): Promise<void> {
    if (this.#running?.whole) return this.#running.done;
    const before = this.#running?.done.catch(() => {});
    return this.#run(true, async () => {
      await before;
      await this.#recycleEach(this.#options.places());
    });
  }

  /** Those that hold too much that this plan, which is in force, has no use for. */
  recycleFull(plan: Plan): void {
    const { places, outgrown, log } = this.#options;
    if (this.#running !== null) return;
    const current = Object.values(plan.strategies);
    const full = places().filter(
      ({ worker }) => worker.modules.superseded(current) > MOST_SUPERSEDED_BYTES,
    );
    const others = places().filter((place) => !full.includes(place) && outgrown(place, plan));
    if (full.length > 0) {
      log.info("workers are recycled: they hold many old versions of strategies", {
        workers: full.map(({ index }) => index).join(", "),
        modules: Math.max(...full.map(({ worker }) => worker.modules.count)),
      });
    }
    if (others.length > 0) {
      log.info("workers are recycled: they hold many metrics of backends that are gone", {
        workers: others.map(({ index }) => index).join(", "),
      });
    }
    if (full.length + others.length === 0) return;
    this.#runUnasked(() => this.#recycleEach([...full, ...others]));
  }

  /** The worker that is in this place now, after what is under way. */
  recycleOne(place: Place): void {
    const { worker } = place;
    const before = this.#running?.done.catch(() => {});
    this.#runUnasked(async () => {
      await before;
      if (place.worker === worker) await this.#options.replace(place);
    });
  }

  /** Nobody waits for it who could be told. */
  #runUnasked(recycle: () => Promise<void>): void {
    this.#run(false, recycle).catch((error: unknown) => {
      const reason = error instanceof RuntimeError ? error.message : String(error);
      this.#options.log.error("recycling ended early", { reason });
    });
  }

  #run(whole: boolean, recycle: () => Promise<void>): Promise<void> {
    const running = { whole, done: recycle() };
    this.#running = running;
    return running.done.finally(() => {
      if (this.#running === running) this.#running = null;
    });
  }

  async #recycleEach(places: readonly Place[]): Promise<void> {
    for (const place of places) await this.#options.replace(place);
  }
}
