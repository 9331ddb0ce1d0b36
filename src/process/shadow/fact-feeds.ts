import { isCredential } from "../../config/header-rules.ts";
import type { Logger } from "../../log.ts";
import type { AttemptEnd, AttemptHead, Backend } from "../../plugin.ts";
import { FactRingWriter } from "../../pool/fact-ring.ts";
import { openSharedMemory } from "../../pool/shared-memory.ts";
import type { HeaderField } from "../../proxy/front.ts";
import type { RequestHeaders } from "../../proxy/request-fields.ts";
import type { SampledAttempt, ShadowedAttempt, ShadowFeed } from "../../proxy/shadow-feed.ts";
import { type CandidateMask, orderOf, placesOf } from "../../strategy/shadow/candidate-mask.ts";
import { encodeFact, type Fact } from "../../strategy/shadow/facts.ts";
import { SampleBudget } from "./sample-budget.ts";
import { ShadowMemory, type ShadowPlan } from "./shadow-memory.ts";

export interface FactFeedsOptions {
  /** This worker's ring. */
  readonly column: number;
  readonly now: () => number;
  readonly log: Logger;
}

/** Of one record; longer heads are not shown. */
const MOST_BYTES = 8192;

/** A strategy places nobody by what is only meant for the client. */
const UNTOLD = "set-cookie";

/** What a worker tells shadows, pool by pool. */
export class FactFeeds {
  readonly #options: FactFeedsOptions;
  readonly #budget: SampleBudget;
  readonly #feeds = new Map<string, PoolFeed>();
  #telling: Telling | null = null;

  constructor(options: FactFeedsOptions) {
    this.#options = options;
    this.#budget = new SampleBudget(options.now());
  }

  /** Throws when the memory cannot be mapped. The same pool has the same feed through all plans. */
  feedOf(pool: string, plan: ShadowPlan): ShadowFeed {
    let feed = this.#feeds.get(pool);
    if (feed === undefined) {
      feed = new PoolFeed(pool, this.#open(plan), this.#budget);
      this.#feeds.set(pool, feed);
    }
    return feed;
  }

  /** There is one memory for as long as the program runs. */
  #open({ handle, onDisk }: ShadowPlan): Telling {
    const { column, now, log } = this.#options;
    if (this.#telling === null) {
      const memory = new ShadowMemory(openSharedMemory(handle));
      const writer = new FactRingWriter(memory.ring(column));
      this.#telling = new Telling({ memory, writer, onDisk, now, log });
    }
    return this.#telling;
  }
}

interface TellingOptions {
  readonly memory: ShadowMemory;
  readonly writer: FactRingWriter;
  readonly onDisk: boolean;
  readonly now: () => number;
  readonly log: Logger;
}

/** Writes facts down; nothing that goes wrong there may reach a request. */
class Telling {
  readonly #options: TellingOptions;
  #failed = false;

  constructor(options: TellingOptions) {
    this.#options = options;
  }

  /** Somebody reads what is told. */
  get wanted(): boolean {
    return this.#options.memory.listeners > 0;
  }

  now(): number {
    return this.#options.now();
  }

  /** False: it was too long. */
  tell(fact: Fact): boolean {
    try {
      const record = encodeFact({ atMs: this.now(), fact });
      return record.length <= MOST_BYTES && this.#options.writer.write(record);
    } catch (error) {
      if (!this.#failed) {
        this.#failed = true;
        this.#options.log.error("a shadow is not told of a request", {
          error: error instanceof Error ? error.message : String(error),
        });
      }
      return false;
    }
  }

  fieldsOf(headers: RequestHeaders): string[] {
    const { onDisk } = this.#options;
    const fields: string[] = [];
    headers.forEach((value, name, key) => {
      if (!onDisk || !isCredential(key)) fields.push(name, value);
    });
    return fields;
  }
}

class PoolFeed implements ShadowFeed {
  readonly #pool: string;
  readonly #telling: Telling;
  readonly #budget: SampleBudget;
  /** Of lists of backends: computing one takes longer than all else. */
  readonly #orders = new WeakMap<readonly Backend[], number>();
  #seen = 0;

  constructor(pool: string, telling: Telling, budget: SampleBudget) {
    this.#pool = pool;
    this.#telling = telling;
    this.#budget = budget;
  }

  takes(): boolean {
    if (!this.#telling.wanted) return false;
    this.#seen++;
    return this.#budget.take(this.#telling.now());
  }

  attemptStarting(facts: ShadowedAttempt): SampledAttempt | null {
    const telling = this.#telling;
    const { id, number, backend, affinity, failOpen, request, headers } = facts;
    const { method, path, query, host, clientAddress } = request;
    const told = telling.tell({
      kind: "pick",
      id,
      pool: this.#pool,
      seen: this.#seen,
      attempt: number,
      failOpen,
      candidates: this.#maskOf(facts),
      chosen: backend.id,
      affinity,
      request: {
        method,
        path,
        query,
        host,
        clientAddress,
        fields: telling.fieldsOf(headers),
      },
    });
    return told ? new ToldAttempt(id, telling) : null;
  }

  #maskOf({ affinity, backends, candidates }: ShadowedAttempt): CandidateMask | null {
    if (affinity || candidates === backends) return null;
    let order = this.#orders.get(backends);
    if (order === undefined) {
      order = orderOf(backends);
      this.#orders.set(backends, order);
    }
    return { order, places: placesOf(backends, candidates) };
  }
}

class ToldAttempt implements SampledAttempt {
  readonly #id: number;
  readonly #telling: Telling;

  constructor(id: number, telling: Telling) {
    this.#id = id;
    this.#telling = telling;
  }

  responded({ status, firstByteMs, upgraded }: AttemptHead, all: readonly HeaderField[]): void {
    const fields = all.flatMap(([name, value]) =>
      name.toLowerCase() === UNTOLD ? [] : [name, value],
    );
    this.#telling.tell({ kind: "head", id: this.#id, status, firstByteMs, upgraded, fields });
  }

  ended({ outcome, status, firstByteMs, durationMs }: AttemptEnd): void {
    this.#telling.tell({ kind: "end", id: this.#id, outcome, status, firstByteMs, durationMs });
  }
}
