import type { EjectionConfig } from "../config/config.ts";
import {
  type Counters,
  EJECTION_NONE,
  EJECTION_ON,
  EJECTION_TRIAL_OPEN,
  EJECTION_TRIAL_TAKEN,
  PROBE_UNHEALTHY,
} from "../pool/counters.ts";
import { EjectionRecord } from "./ejection-record.ts";

export interface EjectionChange {
  readonly row: number;
  /** `trial`: one request may try the backend. `returned`: it takes its full part again. */
  readonly to: "ejected" | "trial" | "returned";
  /** When an ejection ends by itself, on the clock handed in; 0 for the others. */
  readonly untilMs: number;
}

export interface EjectionOptions {
  readonly config: EjectionConfig;
  readonly counters: Counters;
  /** The pool's backends. Those found ejected (from before a reload) are taken over. */
  readonly rows: readonly number[];
  /**
   * Good probes in a row that end an ejection early; null: none does. A TCP connect proves nothing about
   * a backend that answers 500, and would make every ejection as short as two probes.
   */
  readonly rise: number | null;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/**
 * Takes backends out whose answers to real traffic are failures, and lets them back in. One per
 * pool, in the master: all decisions are made here, one after the other, so that two workers can
 * never together eject more than is allowed. Workers only report, and read the state.
 *
 * Every method returns what it changed. Call `advance` at `nextDeadlineMs`.
 *
 * The rules are Envoy's outlier detection with consecutive failures (ejection grows with the number
 * of ejections in a row, limited share), plus two of our own: a single trial request decides the
 * return, and good probes shorten the wait.
 */
export class PoolEjection {
  readonly #options: EjectionOptions;
  readonly #records = new Map<number, EjectionRecord>();

  /** `before`: knows how long the next ejection of those that stay is; null: there was none. */
  constructor(options: EjectionOptions, before: PoolEjection | null = null) {
    this.#options = options;
    for (const row of options.rows) {
      const known = before === null ? undefined : before.#records.get(row);
      if (known !== undefined) {
        this.#records.set(row, known);
        continue;
      }
      const record = new EjectionRecord();
      // Nobody knows for how long; that it was ejected is known.
      if (options.counters.ejection(row) !== EJECTION_NONE) record.ejected(options.now());
      this.#records.set(row, record);
    }
  }

  /** A worker counted as many failures in a row as it takes. */
  failing(row: number): readonly EjectionChange[] {
    const { counters, config } = this.#options;
    const record = this.#records.get(row);
    if (!record || counters.ejection(row) !== EJECTION_NONE) return [];
    // A success may have come in while the report was on its way.
    if (counters.consecutiveFailures(row) < config.failures) return [];
    if (!this.#mayEject(row)) return [];
    return [this.#eject(row, record)];
  }

  /**
   * The request of that trial got its response head, or failed before. Only of the trial under way: a worker that
   * died after its verdict has given the trial back, and another request may be making the next one.
   */
  trialEnded(row: number, trial: number, ok: boolean): readonly EjectionChange[] {
    const { counters } = this.#options;
    const record = this.#records.get(row);
    if (!record || trial < EJECTION_TRIAL_TAKEN || counters.ejection(row) !== trial) return [];
    // A backend on trial is out already, so this takes nobody away and needs no leave.
    if (!ok) return [this.#eject(row, record)];
    counters.clearConsecutiveFailures(row);
    counters.setEjection(row, EJECTION_NONE, 0);
    record.returned(this.#options.now(), counters.failures(row));
    return [{ row, to: "returned", untilMs: 0 }];
  }

  /** A probe that began at `startedAtMs` ended; the probe state in the counters is already the new one. */
  probed(row: number, good: boolean, startedAtMs: number): readonly EjectionChange[] {
    const { counters, rise } = this.#options;
    const record = this.#records.get(row);
    if (!record || counters.ejection(row) !== EJECTION_ON) return [];
    const goodProbes = record.probed(good, startedAtMs);
    const enough = rise !== null && goodProbes >= rise;
    return enough || this.#isOver(row) ? this.#openTrial(row) : [];
  }

  /** Ends what has run out. */
  advance(): readonly EjectionChange[] {
    const { counters, config, now } = this.#options;
    const changes: EjectionChange[] = [];
    for (const [row, record] of this.#records) {
      const state = counters.ejection(row);
      if (state === EJECTION_ON && this.#isOver(row)) changes.push(...this.#openTrial(row));
      if (state === EJECTION_NONE) record.forgive(now(), config.baseMs, counters.failures(row));
    }
    return changes;
  }

  /** When `advance` has something to do next; null when nothing is due. Changes with every call of the others. */
  nextDeadlineMs(): number | null {
    const { counters, config } = this.#options;
    let next: number | null = null;
    for (const [row, record] of this.#records) {
      let due: number | null = null;
      const state = counters.ejection(row);
      // While it is probe-down only a probe can bring it back: `probed` sees to that.
      if (state === EJECTION_ON && !this.#isProbeDown(row)) due = counters.ejectedUntil(row);
      if (state === EJECTION_NONE) due = record.forgivenAtMs(config.baseMs);
      if (due !== null && (next === null || due < next)) next = due;
    }
    return next;
  }

  #eject(row: number, record: EjectionRecord): EjectionChange {
    const { counters, config, now, random } = this.#options;
    const count = record.ejected(now());
    // Up to a tenth longer, so that backends that failed together do not come back together.
    const lengthMs = Math.min(count * config.baseMs * (1 + random() / 10), config.maxMs);
    const untilMs = now() + lengthMs;
    counters.setEjection(row, EJECTION_ON, untilMs);
    return { row, to: "ejected", untilMs };
  }

  #openTrial(row: number): readonly EjectionChange[] {
    if (this.#isProbeDown(row)) return [];
    const { counters } = this.#options;
    counters.setEjection(row, EJECTION_TRIAL_OPEN, counters.ejectedUntil(row));
    return [{ row, to: "trial", untilMs: 0 }];
  }

  /** Within `maxPercent` of those that could serve (one at least, unless it is 0), and not the last that does. */
  #mayEject(row: number): boolean {
    const { counters, config } = this.#options;
    if (!this.#couldServe(row)) return false;
    const able = this.#options.rows.filter((each) => this.#couldServe(each));
    const out = able.filter((each) => counters.ejection(each) !== EJECTION_NONE).length;
    if (able.length - out <= 1) return false;
    const share = Math.floor((able.length * config.maxPercent) / 100);
    return out < (config.maxPercent === 0 ? 0 : Math.max(share, 1));
  }

  #couldServe(row: number): boolean {
    return !this.#isProbeDown(row) && !this.#options.counters.draining(row);
  }

  #isProbeDown(row: number): boolean {
    return this.#options.counters.probe(row) === PROBE_UNHEALTHY;
  }

  #isOver(row: number): boolean {
    return this.#options.now() >= this.#options.counters.ejectedUntil(row);
  }
}
