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

  /** Those that hold too many strategies that this plan, which is in force, has no use for. */
  recycleFull({ strategies }: Plan): void {
    const { places, log } = this.#options;
    const full = places().filter(
      ({ worker }) => worker.modules.superseded(Object.values(strategies)) > MOST_SUPERSEDED_BYTES,
    );
    if (full.length === 0 || this.#running !== null) return;
    log.info("workers are recycled: they hold many old versions of strategies", {
      workers: full.map(({ index }) => index).join(", "),
      modules: Math.max(...full.map(({ worker }) => worker.modules.count)),
    });
    this.#run(false, () => this.#recycleEach(full)).catch((error: unknown) => {
      const reason = error instanceof RuntimeError ? error.message : String(error);
      log.error("recycling ended early", { reason });
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
