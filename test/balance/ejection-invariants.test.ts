/**
 * Ejection under any order of events. With others, or to look for longer:
 *
 *     EJECTION_SEED=247814411 EJECTION_RUNS=100000 bun test test/balance/ejection-invariants.test.ts
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Admission, admit } from "../../src/balance/admission.ts";
import { selectCandidates } from "../../src/balance/candidates.ts";
import { type EjectionChange, PoolEjection } from "../../src/balance/ejection.ts";
import { Settlement } from "../../src/balance/settle.ts";
import type { PoolBackend } from "../../src/pool/backend.ts";
import {
  EJECTION_NONE,
  EJECTION_TRIAL_TAKEN,
  PROBE_HEALTHY,
  PROBE_UNHEALTHY,
} from "../../src/pool/counters.ts";
import { newPool } from "../_support/pools.ts";

const RUNS = Number(process.env["EJECTION_RUNS"] ?? 300);
const SEED = Number(process.env["EJECTION_SEED"] ?? 20_261_122);
const WORKERS = 2;
const NONE: ReadonlySet<PoolBackend> = new Set();
const ENDINGS = ["ok", "500", "reset", "truncated", "client_gone"] as const;
type Ending = (typeof ENDINGS)[number];

interface OpenAttempt {
  readonly worker: number;
  readonly row: number;
  readonly trial: boolean;
  readonly admission: Admission;
  readonly settlement: Settlement;
}

/** Two workers and a master over the same counters, with reports that arrive late. */
class Model {
  readonly pool;
  readonly ejection: PoolEjection;
  readonly open: OpenAttempt[] = [];
  readonly #maxPercent: number;
  #mail: (() => readonly EjectionChange[])[] = [];
  #nowMs = 0;

  constructor(rows: number, maxPercent: number, random: () => number) {
    this.pool = newPool(rows);
    this.#maxPercent = maxPercent;
    this.ejection = new PoolEjection({
      config: { failures: 3, baseMs: 1000, maxMs: 5000, maxPercent },
      counters: this.pool.counters,
      rows: this.pool.backends.map((_, row) => row),
      rise: 2,
      now: () => this.#nowMs,
      random,
    });
  }

  /** A request arrives and goes to the candidate that `choice` names. */
  request(worker: number, choice: number): void {
    const { candidates, failOpen } = selectCandidates(this.pool, NONE);
    const backend = candidates[choice % candidates.length];
    if (!backend) return;
    const { counters } = this.pool;
    const row = this.pool.backends.indexOf(backend);
    const admission = admit(this.pool, backend, worker, failOpen);
    if (!admission) return;
    const trial = counters.ejection(row) >= EJECTION_TRIAL_TAKEN && !failOpen;
    if (trial)
      expect(this.open.some((attempt) => attempt.trial && attempt.row === row)).toBe(false);
    const settlement = new Settlement(
      {
        counters,
        failures: 3,
        onFailing: (each) => this.#mail.push(() => this.ejection.failing(each)),
        onTrialEnded: (each, trial, ok) =>
          this.#mail.push(() => this.ejection.trialEnded(each, trial, ok)),
      },
      admission,
    );
    this.open.push({ worker, row, trial, admission, settlement });
  }

  end(which: number, ending: Ending): void {
    const [attempt] = this.open.splice(which % Math.max(this.open.length, 1), 1);
    if (!attempt) return;
    if (ending === "ok" || ending === "truncated") attempt.settlement.responded(200);
    if (ending === "500") attempt.settlement.responded(500);
    attempt.settlement.ended(ending === "500" ? "ok" : ending);
    attempt.admission.release();
    attempt.admission.release();
  }

  probe(row: number, good: boolean): void {
    const each = row % this.pool.backends.length;
    this.pool.counters.setProbe(each, good ? PROBE_HEALTHY : PROBE_UNHEALTHY);
    this.check(this.ejection.probed(each, good, this.#nowMs));
  }

  readMail(): void {
    for (const read of this.#mail.splice(0)) this.check(read());
  }

  kill(worker: number): void {
    for (let i = this.open.length - 1; i >= 0; i--)
      if (this.open[i]?.worker === worker) this.open.splice(i, 1);
    this.pool.counters.returnShare(worker);
  }

  pass(ms: number): void {
    this.#nowMs += ms;
    this.check(this.ejection.advance());
    const next = this.ejection.nextDeadlineMs();
    if (next !== null) expect(next).toBeGreaterThan(this.#nowMs);
  }

  isOut(row: number): boolean {
    return this.pool.counters.ejection(row) !== EJECTION_NONE;
  }

  #wasOut = new Set<number>();

  check(changes: readonly EjectionChange[]): void {
    const able = this.pool.backends.filter((backend) => backend.health !== "unhealthy");
    const out = able.filter((backend) => this.isOut(this.pool.backends.indexOf(backend)));
    for (const { row, to } of changes) {
      if (to === "ejected" && !this.#wasOut.has(row)) {
        expect(out.length).toBeLessThan(able.length);
        expect(out.length).toBeLessThanOrEqual(
          Math.max(1, Math.floor((able.length * this.#maxPercent) / 100)),
        );
      }
      if (to === "trial") expect(this.pool.backends[row]?.health).not.toBe("unhealthy");
    }
    this.#wasOut = new Set(
      this.pool.backends.map((_, row) => row).filter((row) => this.isOut(row)),
    );
  }
}

const worker = fc.nat({ max: WORKERS - 1 });
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("request" as const),
      worker,
      choice: fc.nat({ max: 11 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("end" as const),
      which: fc.nat({ max: 20 }),
      ending: fc.constantFrom(...ENDINGS, "500" as const, "500" as const),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("mail" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("probe" as const),
      row: fc.nat({ max: 5 }),
      good: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("pass" as const),
      ms: fc.integer({ min: 1, max: 3000 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("kill" as const), worker }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

function take(model: Model, each: Step): void {
  switch (each.do) {
    case "request":
      return model.request(each.worker, each.choice);
    case "end":
      return model.end(each.which, each.ending);
    case "mail":
      return model.readMail();
    case "probe":
      return model.probe(each.row, each.good);
    case "pass":
      return model.pass(each.ms);
    case "kill":
      return model.kill(each.worker);
  }
}

test("property: never too many ejected, one trial at a time, and nobody stays out for ever", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 100 }),
      fc.array(step, { maxLength: 200, size: "max" }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (rows, maxPercent, steps, random) => {
        const model = new Model(rows, maxPercent, () => random);
        for (const each of steps) take(model, each);

        // From here on all is well: everybody must be back, and nothing may be in flight.
        while (model.open.length > 0) model.end(0, "ok");
        model.readMail();
        for (let row = 0; row < rows; row++) model.probe(row, true);
        for (let round = 0; round < 10; round++) {
          model.pass(5000);
          for (let choice = 0; choice < rows; choice++) {
            model.request(0, choice);
            while (model.open.length > 0) model.end(0, "ok");
            model.readMail();
          }
        }
        for (let row = 0; row < rows; row++) {
          expect(model.isOut(row)).toBe(false);
          expect(model.pool.counters.inFlight(row)).toBe(0);
        }
      },
    ),
    { seed: SEED, numRuns: RUNS },
  );
});
