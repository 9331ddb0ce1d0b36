import type { Logger } from "../log.ts";
import type { Pressure } from "../proxy/pressure.ts";
import type { Descriptors } from "./descriptors.ts";

export interface DescriptorPressureOptions {
  readonly descriptors: Descriptors;
  readonly worker: number;
  /** Closes connections to backends that nobody uses. */
  readonly closeIdleBackends: () => void;
  /** Closes connections of clients that nobody used since it was called before. */
  readonly closeIdleClients: () => void;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly log: Logger;
}

/** Of the limit. Between these two a burst must fit: Bun.serve accepts whatever comes. */
const SHED_FROM = 0.9;
const REFUSE_FROM = 0.95;
/** Those to be refused may wait for a moment, as long as there is room for that. */
const FULL_FROM = 0.975;
/** Not just below: each turn costs clients their connections. */
const SHED_UNTIL = 0.8;
/** No more than this part of the limit is opened between two looks. */
const LOOK_AFTER = 0.01;
/** Finding them costs a walk over all. */
const CLOSE_CLIENTS_MS = 100;
const LOG_MS = 10_000;

/**
 * Keeps this process from running out of file descriptors, where Bun.serve (1.4.5) uses up a processor
 * with an accept that fails. From 90 % of the limit idle connections are closed and answers end their
 * connections; from 95 % requests on new connections get 503 if there is no room a moment later. Those
 * that were there are served.
 */
export class DescriptorPressure implements Pressure {
  shedding = false;
  refusing = false;
  full = false;
  readonly #options: DescriptorPressureOptions;
  readonly #limit: number;
  #openedSinceLook = 0;
  #closeClientsAtMs = Number.NEGATIVE_INFINITY;
  #nextLogMs = Number.NEGATIVE_INFINITY;
  #logged = false;

  constructor(options: DescriptorPressureOptions) {
    this.#options = options;
    this.#limit = options.descriptors.limit ?? Number.POSITIVE_INFINITY;
  }

  opened(): void {
    if (++this.#openedSinceLook >= this.#limit * LOOK_AFTER) this.#look();
  }

  /** To be called often, from a timer. Never throws. */
  tick(): void {
    this.#look();
    const { now, closeIdleClients } = this.#options;
    if (!this.shedding || now() < this.#closeClientsAtMs) return;
    this.#closeClientsAtMs = now() + CLOSE_CLIENTS_MS;
    // Only here: of the requests that came in this turn of the loop some may not have been seen yet.
    closeIdleClients();
  }

  #look(): void {
    this.#openedSinceLook = 0;
    let count = this.#count();
    if (count >= this.#limit * SHED_FROM) {
      // They cost nobody anything but the next connect.
      this.#options.closeIdleBackends();
      count = this.#count();
    }
    this.refusing = count >= this.#limit * REFUSE_FROM;
    this.full = count >= this.#limit * FULL_FROM;
    const shedding = count >= this.#limit * (this.shedding ? SHED_UNTIL : SHED_FROM);
    if (shedding !== this.shedding) {
      this.shedding = shedding;
      this.#report(count);
    }
  }

  /** The limit when it cannot be told: that there are none left is why. */
  #count(): number {
    try {
      return this.#limit === Number.POSITIVE_INFINITY ? 0 : this.#options.descriptors.count();
    } catch {
      return this.#limit;
    }
  }

  #report(open: number): void {
    const { worker, now, log } = this.#options;
    const fields = { worker, open, limit: this.#limit };
    if (this.shedding && now() >= this.#nextLogMs) {
      this.#nextLogMs = now() + LOG_MS;
      this.#logged = true;
      log.warn("file descriptors run out: connections are closed, soon refused", {
        ...fields,
        hint: "raise the hard limit (ulimit -Hn, LimitNOFILE of systemd)",
      });
    } else if (!this.shedding && this.#logged) {
      this.#logged = false;
      log.info("there are enough file descriptors again", fields);
    }
  }
}
