import { ConfigError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { CallMark } from "../../pool/worker-pulse.ts";
import type { StrategyPlugin } from "../../plugin.ts";
import { QUARANTINE_AFTER, StrategyHost } from "../../strategy/host.ts";
import { createRandom } from "../../strategy/random.ts";
import type { ShadowFigures } from "../../strategy/shadow/figures.ts";
import { Projection } from "../../strategy/shadow/projection.ts";
import { PICK_BOUNDS } from "../../telemetry/metrics/instruments.ts";
import { FactSource, type ReadFact } from "./fact-source.ts";
import type { ShadowSetup, ToShadow } from "./messages.ts";

export interface ShadowRunnerOptions {
  readonly setup: ShadowSetup;
  readonly plugin: StrategyPlugin<unknown>;
  /** What each worker tells. */
  readonly rings: readonly Int32Array[];
  readonly mark: CallMark;
  /** After each request: only one that takes too long by itself is a loop. */
  readonly beat: () => void;
  readonly now: () => number;
  readonly nowNs: () => number;
  readonly log: Logger;
  /** The strategy is not asked any more. Called once. */
  readonly onStopped: (reason: string, figures: ShadowFigures) => void;
}

const PICK_BOUNDS_MS = PICK_BOUNDS.map((seconds) => seconds * 1000);

/** Between two looks at what its master says. */
const SLICE_MS = 50;

interface FromWorker extends ReadFact {
  readonly column: number;
}

/** One shadow in its process: reads what workers tell and lets the strategy decide about it. */
export class ShadowRunner {
  readonly #options: ShadowRunnerOptions;
  readonly #sources: readonly FactSource[];
  readonly #projection: Projection;
  /** Read and, from `#next` on, not worked off yet. */
  #queue: readonly FromWorker[] = [];
  #next = 0;
  #lastFault = "";
  #stopped = false;

  /** Throws ConfigError when the plugin makes no strategy. */
  constructor(options: ShadowRunnerOptions) {
    const { setup, plugin, rings, mark, now, nowNs, log } = options;
    this.#options = options;
    this.#sources = rings.map((ring) => new FactSource(ring, setup.pool));
    this.#projection = new Projection({
      backends: setup.backends,
      startMs: now(),
      nowNs,
      pickBoundsMs: PICK_BOUNDS_MS,
      createHost: (backends, projectedNow) =>
        new StrategyHost({
          plugin,
          version: setup.strategy.description.version,
          options: setup.options,
          pool: setup.pool,
          backends,
          now: projectedNow,
          random: createRandom(setup.seed),
          log,
          mark,
          previous: null,
          onFault: (fault) => {
            this.#lastFault = fault.message;
          },
        }),
    });
  }

  /**
   * What was told since, for a while: with a strategy that is too slow the rest waits for the next
   * time, and nothing more is read until then, so that what it cannot keep up with is lost in the rings.
   */
  tick(): void {
    this.#work(this.#options.now() + SLICE_MS);
  }

  #work(untilMs: number): void {
    const { now, beat } = this.#options;
    if (this.#next === this.#queue.length) this.#read();
    while (!this.#stopped && this.#next < this.#queue.length) {
      const { column, fact, atMs } = this.#queue[this.#next++] as FromWorker;
      this.#projection.apply(column, fact, atMs);
      beat();
      if (this.#projection.host.quarantined) this.#stop();
      if (now() >= untilMs) return;
    }
  }

  #read(): void {
    const nowMs = this.#options.now();
    const facts: FromWorker[] = [];
    for (const [column, source] of this.#sources.entries()) {
      const read = source.read(nowMs);
      if (read.lost) this.#projection.abandon(column);
      for (const each of read.facts) facts.push({ ...each, column });
    }
    // Stable: what one worker tells keeps its order.
    this.#queue = facts.sort((one, two) => one.atMs - two.atMs);
    this.#next = 0;
  }

  receive(message: Exclude<ToShadow, { type: "setup" | "report" }>): void {
    // In the order in which things happened: what is waiting, and what was told meanwhile.
    this.#work(Number.POSITIVE_INFINITY);
    this.#work(Number.POSITIVE_INFINITY);
    switch (message.type) {
      case "backends":
        this.#projection.setBackends(message.backends);
        break;
      case "health":
        this.#projection.setHealth(message.id, message.to);
        break;
      case "draining":
        this.#projection.setDraining(message.id, message.draining);
        break;
      case "weight":
        this.#projection.setWeight(message.id, message.weight);
        break;
      case "workerEnded":
        this.#projection.abandon(message.column);
        this.#sources[message.column]?.workerEnded();
        break;
    }
  }

  figures(): ShadowFigures {
    const dropped = this.#sources.reduce((sum, source) => sum + source.dropped, 0);
    return { ...this.#projection.figures(), dropped };
  }

  #stop(): void {
    this.#stopped = true;
    this.#options.onStopped(
      `${QUARANTINE_AFTER} faults in a row, the last: ${this.#lastFault}`,
      this.figures(),
    );
  }
}

/** Why a shadow could not begin, in one line. */
export function refusalText(thrown: unknown): string {
  if (thrown instanceof ConfigError) {
    return thrown.problems.map(({ path, message }) => `${path}: ${message}`).join("; ");
  }
  return thrown instanceof Error ? thrown.message : String(thrown);
}
