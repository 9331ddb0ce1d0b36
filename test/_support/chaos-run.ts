import { expect } from "bun:test";
import { type ChaosResult, sendChaos } from "./chaos-client.ts";
import { answerBody, type ChaosPlan, drawPlan, type Random, reply } from "./chaos-plan.ts";
import { type FakeBackend, type FakeRequest, startFakeBackend } from "./fake-backend.ts";
import { isQuiet, type PoolView, type Proxy } from "./proxy.ts";

/** Requests under way at a time. */
export const CLIENTS = 24;
/** After so many the books are balanced and what the backends recorded is forgotten. */
const BATCH = 1000;
/** One backend is away for the second half of each stretch of so many requests. */
const OUTAGE_EVERY = 200;

/** The run: sends what the seed draws, one batch after the other, and balances the books after each. */
export class Chaos {
  /** How many requests ended how. */
  readonly ends: Partial<Record<ChaosResult["end"], number>> = {};
  sent = 0;
  readonly #random: Random;
  /** Milliseconds of `performance.now()`. */
  readonly #until: number;
  readonly #plans = new Map<number, ChaosPlan>();
  readonly #underWay = new Set<number>();
  /** Under way when a backend was stopped, or started while one was away. */
  readonly #disturbed = new Set<number>();
  #findings: string[] = [];
  #requestsBefore = 0;
  #away: FakeBackend | null = null;

  constructor(random: Random, until: number) {
    this.#random = random;
    this.#until = until;
  }

  get timeIsUp(): boolean {
    return performance.now() >= this.#until;
  }

  answer(request: FakeRequest) {
    const plan = this.#plans.get(idOf(request));
    if (plan === undefined) {
      this.#findings.push(`a backend was asked for ${request.target}, which nobody sent`);
      return null;
    }
    if (request.method !== plan.method || !request.body.equals(plan.requestBody)) {
      this.#findings.push(`request ${plan.id} reached a backend with other bytes`);
    }
    return reply(plan);
  }

  /**
   * Draws the next requests, sends them until time is up, and balances the books. What is drawn depends on the seed
   * alone: a run that lasts longer sends the same requests, and then more.
   */
  async batch(proxy: Proxy, backends: readonly FakeBackend[]): Promise<void> {
    const from = this.sent;
    for (let id = from; id < from + BATCH; id++) this.#plans.set(id, drawPlan(this.#random, id));
    const outages = Array.from({ length: BATCH / OUTAGE_EVERY }, () =>
      Math.floor(this.#random() * backends.length),
    );
    const client = async (): Promise<void> => {
      while (this.sent < from + BATCH && !this.timeIsUp) {
        const id = this.sent++;
        const position = (id - from) % OUTAGE_EVERY;
        if (position === 0) this.#bringBack();
        if (position === OUTAGE_EVERY / 2) {
          this.#takeAway(backends[outages[Math.floor((id - from) / OUTAGE_EVERY)] ?? 0]);
        }
        await this.#send(proxy, this.#plans.get(id) as ChaosPlan);
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    for (let id = this.sent; id < from + BATCH; id++) this.#plans.delete(id);
    this.#bringBack();
    const pools = await proxy.until("nothing in flight", isQuiet);
    this.#balance(pools, backends);
    for (const each of backends) {
      this.#findings.push(...each.refused.splice(0));
      each.requests.length = 0;
    }
    this.#plans.clear();
    this.#disturbed.clear();
    expect(this.#findings).toEqual([]);
  }

  async #send(proxy: Proxy, plan: ChaosPlan): Promise<void> {
    this.#underWay.add(plan.id);
    if (this.#away !== null) this.#disturbed.add(plan.id);
    const result = await sendChaos(proxy.port, plan);
    this.#underWay.delete(plan.id);
    this.ends[result.end] = (this.ends[result.end] ?? 0) + 1;
    const { id, fault, abort } = plan;
    const what = `request ${id} ended ${result.end} (${result.status}) ${result.detail}`;
    if (result.end === "undeclared") {
      this.#findings.push(what);
    } else if (result.end === "complete") {
      if (!result.body.equals(answerBody(plan))) this.#findings.push(`${what}, with other bytes`);
      if (fault !== null) this.#findings.push(`${what}, although no backend sent all of it`);
    } else if (fault === null && abort === null && !this.#disturbed.has(id)) {
      this.#findings.push(`${what}, although nothing went wrong`);
    }
  }

  #takeAway(backend: FakeBackend | undefined): void {
    this.#bringBack();
    backend?.stop();
    this.#away = backend ?? null;
    for (const id of this.#underWay) this.#disturbed.add(id);
  }

  #bringBack(): void {
    this.#away?.start();
    this.#away = null;
  }

  #balance(pools: readonly PoolView[], backends: readonly FakeBackend[]): void {
    const seen = new Map<number, number>();
    for (const each of backends) {
      for (const request of each.requests) {
        seen.set(idOf(request), (seen.get(idOf(request)) ?? 0) + 1);
      }
    }
    let unseen = 0;
    let again = 0;
    for (const plan of this.#plans.values()) {
      const times = seen.get(plan.id) ?? 0;
      if (plan.method === "POST" && times > 1) {
        this.#findings.push(`POST ${plan.id} was seen ${times} times`);
      }
      const disturbed = this.#disturbed.has(plan.id);
      const most = plan.status === 503 && plan.method === "GET" ? 2 : 1;
      const astray = times < 1 || times > most;
      if (plan.fault === null && plan.abort === null && !disturbed && astray) {
        this.#findings.push(`request ${plan.id} was seen ${times} times, and nothing went wrong`);
      }
      // An attempt that the client ended before its head was sent, or that found nobody listening.
      if (plan.abort !== null) unseen++;
      if (disturbed) unseen += backends.length;
      // One attempt is sent twice when a reused connection ends before the first byte of an answer.
      if (plan.method === "GET" && (plan.fault !== null || disturbed)) again++;
    }
    const total = requestsOf(pools);
    const attempts = total - this.#requestsBefore;
    this.#requestsBefore = total;
    const arrived = seen.values().reduce((sum, times) => sum + times, 0);
    if (arrived > attempts + again || arrived < attempts - unseen) {
      this.#findings.push(
        `${attempts} attempts were counted and ${arrived} requests arrived, explained: +${again} -${unseen}`,
      );
    }
  }
}

function idOf(request: FakeRequest): number {
  return Number(request.target.slice(1));
}

/** Attempts started, over all backends. */
export function requestsOf(pools: readonly PoolView[]): number {
  return pools.flatMap((pool) => pool.backends).reduce((sum, backend) => sum + backend.requests, 0);
}

/**
 * Below the ports that the kernel gives to outgoing connections, one of which might otherwise take the port while the
 * backend is away.
 */
export function startOnLowPort(handler: (request: FakeRequest) => ReturnType<Chaos["answer"]>) {
  for (let tries = 0; tries < 100; tries++) {
    try {
      const port = 20_000 + Math.floor(Math.random() * 10_000);
      return startFakeBackend({ handler, port });
    } catch (error) {
      if ((error as { code?: string }).code !== "EADDRINUSE") throw error;
    }
  }
  throw new Error("no free port between 20000 and 30000");
}
