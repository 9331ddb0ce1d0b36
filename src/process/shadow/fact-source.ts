import { FactRingReader } from "../../pool/fact-ring.ts";
import { decodeFact, type Fact } from "../../strategy/shadow/facts.ts";

export interface ReadFact {
  readonly fact: Fact;
  /** On the reader's clock. */
  readonly atMs: number;
}

/** What one worker tells of one pool, in the order in which it happened there. */
export class FactSource {
  readonly #ring: FactRingReader;
  readonly #pool: string;
  /** From the worker's clock to ours: times of two processes do not compare. Of the fact that was read the soonest. */
  #offsetMs = Number.POSITIVE_INFINITY;
  /** Requests of the pool since the first that was read: those that the worker had, and those that were read. */
  #first = 0;
  #last = 0;
  #read = 0;
  /** Of workers before this one. */
  #droppedBefore = 0;

  constructor(ring: Int32Array, pool: string) {
    this.#ring = new FactRingReader(ring);
    this.#pool = pool;
  }

  /** Requests of the pool that were not told. */
  get dropped(): number {
    const requests = this.#last === 0 ? 0 : this.#last - this.#first + 1;
    return this.#droppedBefore + requests - this.#read;
  }

  /** `lost`: something is missing before these, so that what was under way may have ended unseen. */
  read(nowMs: number): { readonly facts: readonly ReadFact[]; readonly lost: boolean } {
    const { records, lost } = this.#ring.read();
    const timed = records.flatMap((record) => decodeFact(record) ?? []);
    // The newest is the nearest to now.
    const newestMs = timed.at(-1)?.atMs;
    if (newestMs !== undefined) this.#offsetMs = Math.min(this.#offsetMs, nowMs - newestMs);
    const facts: ReadFact[] = [];
    for (const { fact, atMs } of timed) {
      if (fact.kind === "pick") {
        if (fact.pool !== this.#pool) continue;
        this.#count(fact.seen);
      }
      facts.push({ fact, atMs: atMs + this.#offsetMs });
    }
    return { facts, lost };
  }

  /** The worker has ended, and another one may tell things here. */
  workerEnded(): void {
    this.#droppedBefore = this.dropped;
    this.#offsetMs = Number.POSITIVE_INFINITY;
    this.#first = 0;
    this.#last = 0;
    this.#read = 0;
  }

  #count(seen: number): void {
    if (this.#last === 0) this.#first = seen;
    this.#last = seen;
    this.#read++;
  }
}
