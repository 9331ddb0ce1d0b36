import type { Attempt, Backend, Candidates, HeaderReader, PickContext } from "../../plugin.ts";
import { addInFlight, changeBackend, FakeBackend } from "../fake-backend.ts";
import type { StrategyHost } from "../host.ts";
import { atPlaces, orderOf } from "./candidate-mask.ts";
import type { EndFact, Fact, FactFields, HeadFact, PickFact } from "./facts.ts";
import type { Projected, ShadowBackend, ShadowFigures } from "./figures.ts";
import { InFlightAverage } from "./in-flight-average.ts";
import { PickTimes } from "./pick-times.ts";

/** A backend of the pool as the config and the probes have it. */
export interface ShadowBackendSpec {
  readonly id: string;
  readonly url: string;
  readonly weight: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly health: Backend["health"];
  readonly draining: boolean;
}

export interface ProjectionOptions {
  readonly backends: readonly ShadowBackendSpec[];
  /** Called once. `now`: the projection's clock, in milliseconds. */
  readonly createHost: (backends: readonly Backend[], now: () => number) => StrategyHost;
  /** Where the clock begins. */
  readonly startMs: number;
  /** Times the picks. */
  readonly nowNs: () => number;
  /** Upper bounds of the buckets in which picks are counted, ascending; the last bucket has none. */
  readonly pickBoundsMs: readonly number[];
}

interface Tally {
  requests: number;
  readonly inFlight: InFlightAverage;
}

interface Entry {
  readonly backend: FakeBackend;
  readonly shadow: Tally;
  readonly acting: Tally;
}

interface Running {
  /** Where the acting strategy has sent it; null: to a backend that is gone. */
  readonly acting: Entry | null;
  /** Null: the shadow refused it. */
  readonly projected: { readonly entry: Entry; readonly attempt: Attempt } | null;
  /** When the head of its response came, which was of somebody else, as its end will be; null: none such. */
  withheldMs: number | null;
  /** The strategy has been told of this head. */
  head: Pick<HeadFact, "status" | "firstByteMs"> | null;
}

/**
 * Lets a strategy decide about requests that another one has decided about. Each request is taken to
 * last as long as it did, at the backend where this strategy would have sent it, and the strategy sees
 * as in flight what it would have sent there.
 */
export class Projection {
  readonly host: StrategyHost;
  readonly #nowNs: () => number;
  readonly #pickBoundsMs: readonly number[];
  /** In the pool's order. */
  #entries: ReadonlyMap<string, Entry> = new Map();
  #backends: readonly FakeBackend[] = [];
  /** Of `#backends`. */
  #order = 0;
  /** By source: attempts are told apart by numbers of their worker. */
  readonly #running = new Map<number, Map<number, Running>>();
  readonly #times = new PickTimes();
  #nowMs: number;
  #attempts = 0;
  #picks = 0;
  #agreed = 0;
  #refused = 0;
  #fallbacks = 0;

  /** Throws what `createHost` throws. */
  constructor(options: ProjectionOptions) {
    this.#nowMs = options.startMs;
    this.#nowNs = options.nowNs;
    this.#pickBoundsMs = options.pickBoundsMs;
    this.#enter(options.backends);
    this.host = options.createHost(this.#backends, () => this.#nowMs);
  }

  /** Requests that were sent and have not ended. */
  get running(): number {
    let running = 0;
    for (const each of this.#running.values()) running += each.size;
    return running;
  }

  /** `source`: the worker. `atMs`: on the projection's clock, which is never set back. */
  apply(source: number, fact: Fact, atMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, atMs);
    if (fact.kind === "pick") this.#pick(source, fact);
    else if (fact.kind === "head") this.#respond(source, fact);
    else this.#end(source, fact);
  }

  /** Nothing more will be heard of what this worker had under way. */
  abandon(source: number): void {
    const lost = { kind: "end", outcome: "client_gone" } as const;
    for (const [id, { projected, head }] of this.#runningOf(source)) {
      const startedAt = projected?.attempt.startedAt ?? this.#nowMs;
      const had = head ?? { status: null, firstByteMs: null };
      this.#end(source, { ...lost, ...had, id, durationMs: this.#nowMs - startedAt });
    }
  }

  /** The pool has other backends now, or they have another weight. */
  setBackends(specs: readonly ShadowBackendSpec[]): void {
    this.#enter(specs);
    this.host.setBackends(this.#backends);
  }

  /** Passed over when there is no such backend. */
  setHealth(id: string, to: Backend["health"]): void {
    const backend = this.#entries.get(id)?.backend;
    if (backend === undefined || backend.health === to) return;
    const from = backend.health;
    changeBackend(backend, { health: to });
    this.host.healthChanged(backend, from, to);
  }

  setDraining(id: string, draining: boolean): void {
    const backend = this.#entries.get(id)?.backend;
    if (backend !== undefined) changeBackend(backend, { draining });
  }

  setWeight(id: string, weight: number): void {
    const backend = this.#entries.get(id)?.backend;
    if (backend !== undefined) changeBackend(backend, { weight });
  }

  /** `dropped` is not known here. */
  figures(): Omit<ShadowFigures, "dropped"> {
    const times = this.#times;
    const sumOf = (side: "shadow" | "acting"): number =>
      [...this.#entries.values()].reduce((sum, entry) => sum + entry[side].requests, 0);
    const [all, allActing] = [sumOf("shadow"), sumOf("acting")];
    const [p50, p99] = [times.quantileMs(0.5), times.quantileMs(0.99)];
    return {
      picks: this.#picks,
      agreed: this.#agreed,
      agreement: share(this.#agreed, this.#picks),
      refused: this.#refused,
      fallbacks: this.#fallbacks,
      faults: this.host.faults,
      pickMs:
        p50 === null || p99 === null
          ? null
          : { sum: times.sumMs, p50, p99, buckets: times.countUpTo(this.#pickBoundsMs) },
      backends: [...this.#entries].map(([id, { shadow, acting }]): ShadowBackend => ({
        id,
        shadow: this.#read(shadow, all),
        acting: this.#read(acting, allActing),
      })),
    };
  }

  #read({ requests, inFlight }: Tally, all: number): Projected {
    const { now, max } = inFlight;
    const mean = inFlight.mean(this.#nowMs);
    return { requests, share: share(requests, all), inFlight: { now, mean, max } };
  }

  #enter(specs: readonly ShadowBackendSpec[]): void {
    this.#entries = new Map(
      specs.map((spec) => {
        const known = this.#entries.get(spec.id);
        if (known === undefined || known.backend.url !== spec.url) {
          return [spec.id, this.#newEntry(spec)];
        }
        const { weight, labels, health, draining } = spec;
        changeBackend(known.backend, { weight, labels, health, draining });
        return [spec.id, known];
      }),
    );
    this.#backends = [...this.#entries.values()].map(({ backend }) => backend);
    this.#order = orderOf(this.#backends);
  }

  #newEntry(spec: ShadowBackendSpec): Entry {
    const tally = (): Tally => ({ requests: 0, inFlight: new InFlightAverage(this.#nowMs) });
    return { backend: new FakeBackend(spec), shadow: tally(), acting: tally() };
  }

  #pick(source: number, fact: PickFact): void {
    const candidates = fact.affinity ? null : this.#candidatesOf(fact);
    const context = contextOf(fact);
    const acting = this.#entries.get(fact.chosen) ?? null;
    // A session is at the same backend under any strategy, and loads it.
    const backend =
      candidates === null ? (acting?.backend ?? null) : this.#ask(candidates, context, fact.chosen);
    if (acting !== null) this.#sent(acting.acting);
    const running = this.#runningOf(source);
    const projected = this.#project(backend, context);
    running.set(fact.id, { acting, projected, withheldMs: null, head: null });
  }

  #ask(candidates: readonly FakeBackend[], context: PickContext, chosen: string): Backend | null {
    const before = this.#nowNs();
    const { backend, fallback } = this.host.pick(candidates as unknown as Candidates, context);
    this.#times.add(this.#nowNs() - before);
    this.#picks++;
    if (fallback) this.#fallbacks++;
    else if (backend === null) this.#refused++;
    else if (backend.id === chosen) this.#agreed++;
    return backend;
  }

  /** Null: the worker has other backends, before a reload or after it. Nothing can be asked then, but load is load. */
  #candidatesOf({ candidates }: PickFact): readonly FakeBackend[] | null {
    if (candidates === null) return this.#backends;
    return candidates.order === this.#order ? atPlaces(this.#backends, candidates.places) : null;
  }

  #project(backend: Backend | null, { request, attempt: number }: PickContext) {
    const entry = backend === null ? undefined : this.#entries.get(backend.id);
    if (entry === undefined) return null;
    this.#sent(entry.shadow);
    addInFlight(entry.backend, 1);
    const startedAt = this.#nowMs;
    const id = ++this.#attempts;
    const attempt = Object.freeze({ id, backend: entry.backend, number, request, startedAt });
    this.host.onStart(attempt);
    return { entry, attempt };
  }

  #sent(tally: Tally): void {
    tally.requests++;
    tally.inFlight.add(1, this.#nowMs);
  }

  #respond(source: number, { id, status, firstByteMs, upgraded, fields }: HeadFact): void {
    const running = this.#runningOf(source).get(id);
    if (running === undefined || running.projected === null) return;
    const headers = readerOf(fields);
    const asksToWait = headers.has("retry-after");
    if (isElsewhere(running) && (asksToWait || isBlamed("ok", status))) {
      running.withheldMs = firstByteMs;
      return;
    }
    running.head = { status, firstByteMs };
    const head = Object.freeze({ status, firstByteMs, headers, upgraded });
    this.host.onResponse(running.projected.attempt, head);
  }

  #end(source: number, { id, outcome, status, firstByteMs, durationMs }: EndFact): void {
    const all = this.#runningOf(source);
    const running = all.get(id);
    // It began before the shadow did.
    if (running === undefined) return;
    all.delete(id);
    running.acting?.acting.inFlight.add(-1, this.#nowMs);
    if (running.projected === null) return;
    const { entry, attempt } = running.projected;
    entry.shadow.inFlight.add(-1, this.#nowMs);
    addInFlight(entry.backend, -1);
    // To a strategy that has had the head, an end without one would be another attempt's.
    const had = running.head ?? { status: null, firstByteMs: null };
    const { withheldMs } = running;
    // What is withheld is no silence of the backend that the shadow picked: nobody was waited for after the head.
    const told =
      withheldMs !== null || (isElsewhere(running) && isBlamed(outcome, status))
        ? { outcome: "client_gone" as const, ...had, durationMs: withheldMs ?? durationMs }
        : { outcome, status, firstByteMs, durationMs };
    this.host.onEnd(attempt, Object.freeze(told));
  }

  #runningOf(source: number): Map<number, Running> {
    let running = this.#running.get(source);
    if (running === undefined) {
      running = new Map();
      this.#running.set(source, running);
    }
    return running;
  }
}

function share(part: number, all: number): number | null {
  return all === 0 ? null : part / all;
}

function isElsewhere({ acting, projected }: Running): boolean {
  return projected?.entry !== acting;
}

/**
 * A failure, a limit on requests and a time to wait say something of the backend that they came from. Told of
 * another one they would be lies, so a shadow that placed the request elsewhere hears of a client that went
 * away, which is nobody's fault.
 */
function isBlamed(outcome: EndFact["outcome"], status: number | null): boolean {
  if (outcome !== "ok" && outcome !== "client_gone") return true;
  return status !== null && (status >= 500 || status === 429);
}

function contextOf({ request, attempt, failOpen }: PickFact): PickContext {
  const { fields, ...facts } = request;
  const info = Object.freeze({ ...facts, headers: readerOf(fields) });
  return Object.freeze({ request: info, attempt, failOpen });
}

/** Joined as a worker joins them: cookies with `; ` (RFC 6265, 5.4), others with `, ` (RFC 9110, 5.3). */
function readerOf(fields: FactFields): HeaderReader {
  const find = (name: string): string | null => {
    const key = name.toLowerCase();
    const values: string[] = [];
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i]?.toLowerCase() === key) values.push(fields[i + 1] ?? "");
    }
    return values.length === 0 ? null : values.join(key === "cookie" ? "; " : ", ");
  };
  return Object.freeze({ get: find, has: (name: string) => find(name) !== null });
}
