/**
 * Everything that can go wrong, at once and at random (cases I01, I03, I05 and J01): whatever happens, every request
 * ends in a declared way, a whole answer is the right one, no POST is repeated, and the books balance.
 *
 *     CHAOS_REQUESTS=100000 CHAOS_SEED=7 bun run chaos
 */
import { expect, test } from "bun:test";
import { type ChaosPlan, answerBody, drawPlan, reply } from "../_support/chaos-plan.ts";
import { type ChaosResult, sendChaos } from "../_support/chaos-client.ts";
import { createRandom } from "../../src/strategy/random.ts";
import { type FakeBackend, type FakeRequest, startFakeBackend } from "../_support/fake-backend.ts";
import { useHarness } from "../_support/harness.ts";
import { isQuiet, type PoolView, type Proxy } from "../_support/proxy.ts";

const REQUESTS = Number(process.env["CHAOS_REQUESTS"] ?? 4000);
const SEED = Number(process.env["CHAOS_SEED"] ?? 20_261_122);
const BACKENDS = 4;
const CLIENTS = 24;
/** After so many the books are balanced and what the backends recorded is forgotten. */
const BATCH = 1000;
/** One backend is away for the second half of each stretch of so many requests. */
const OUTAGE_EVERY = 200;
const SAMPLE_MS = 50;

const harness = useHarness();

test(
  "whatever goes wrong, each request ends in a declared way and every count comes back to 0",
  async () => {
    console.log(`chaos: CHAOS_SEED=${SEED} CHAOS_REQUESTS=${REQUESTS}`);
    const chaos = new Chaos();
    const backends = Array.from({ length: BACKENDS }, () =>
      startOnLowPort((request) => chaos.answer(request)),
    );
    try {
      const proxy = await harness.proxy({
        config: {
          workers: 2,
          pools: {
            web: {
              backends: backends.map((each) => each.url),
              strategy: "./moody.ts",
              health: { interval: "200ms", timeout: "1s", fall: 1, rise: 1 },
              ejection: { failures: 3, base: "200ms" },
              timeouts: { firstByte: "2s" },
            },
          },
        },
        files: {
          "moody.ts": `export default { name: "moody", apiVersion: 1, create: () => ({
            score(backend, { request }) {
              if (request.headers.has("x-strategy")) throw new Error("not today");
              return backend.inFlight;
            },
          }) };`,
        },
      });
      const sampler = sample(proxy);
      for (let from = 0; from < REQUESTS; from += BATCH) {
        await chaos.batch(proxy, backends, from, Math.min(REQUESTS, from + BATCH));
      }
      const { samples, findings } = await sampler.stop();
      expect(findings).toEqual([]);
      expect(samples).toBeGreaterThan(10);
      console.log(`chaos: ${JSON.stringify(chaos.ends)}, ${samples} samples`);
      // Else this was no chaos: each way must have been seen.
      for (const end of ["complete", "broken", "rejected", "timeout", "aborted"] as const) {
        expect([end, chaos.ends[end] ?? 0]).not.toEqual([end, 0]);
      }
      const [pool] = await proxy.pools();
      expect(pool?.strategy.faults).toBeGreaterThan(0);
      expect(proxy.log()).not.toContain("internal_error");
      expect(proxy.log()).not.toContain("the proxy failed");
      expect((await proxy.workers()).map((worker) => worker.restarts)).toEqual([0, 0]);
    } finally {
      for (const each of backends) each.stop();
    }
  },
  60_000 + REQUESTS * 60,
);

class Chaos {
  /** How many requests ended how. */
  readonly ends: Partial<Record<ChaosResult["end"], number>> = {};
  readonly #random = createRandom(SEED);
  readonly #plans = new Map<number, ChaosPlan>();
  readonly #underWay = new Set<number>();
  /** Under way when a backend was stopped, or started while one was away. */
  readonly #disturbed = new Set<number>();
  #findings: string[] = [];
  #requestsBefore = 0;
  #away: FakeBackend | null = null;

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

  /** Sends requests `from` to `to` and balances the books. */
  async batch(proxy: Proxy, backends: readonly FakeBackend[], from: number, to: number) {
    for (let id = from; id < to; id++) this.#plans.set(id, drawPlan(this.#random, id));
    const outages = Array.from({ length: Math.ceil((to - from) / OUTAGE_EVERY) }, () =>
      Math.floor(this.#random() * BACKENDS),
    );
    let next = from;
    const client = async (): Promise<void> => {
      while (next < to) {
        const id = next++;
        const position = (id - from) % OUTAGE_EVERY;
        if (position === 0) this.#bringBack();
        if (position === OUTAGE_EVERY / 2) {
          this.#takeAway(backends[outages[Math.floor((id - from) / OUTAGE_EVERY)] ?? 0]);
        }
        await this.#send(proxy, this.#plans.get(id) as ChaosPlan);
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
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
      if (plan.fault === null && plan.abort === null && !disturbed && times !== 1) {
        this.#findings.push(`request ${plan.id} was seen ${times} times, and nothing went wrong`);
      }
      // An attempt that the client ended before its head was sent, or that found nobody listening.
      if (plan.abort !== null) unseen++;
      if (disturbed) unseen += BACKENDS;
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

function requestsOf(pools: readonly PoolView[]): number {
  return pools.flatMap((pool) => pool.backends).reduce((sum, backend) => sum + backend.requests, 0);
}

/** Looks at every count as long as the chaos lasts. */
function sample(proxy: Proxy) {
  const findings: string[] = [];
  let samples = 0;
  let last = 0;
  const stopping = new AbortController();
  const looking = (async () => {
    while (!stopping.signal.aborted) {
      const pools = await proxy.pools();
      samples++;
      for (const backend of pools.flatMap((pool) => pool.backends)) {
        const { inFlight, requests, failures, connections } = backend;
        const counts = [inFlight, requests, failures, connections.open, connections.idle];
        if (counts.some((count) => !(count >= 0))) findings.push(JSON.stringify(backend));
        if (inFlight > CLIENTS) findings.push(`more than there are clients: ${inFlight}`);
      }
      if (requestsOf(pools) < last) findings.push("the total of requests has fallen");
      last = requestsOf(pools);
      await Bun.sleep(SAMPLE_MS);
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await looking;
      return { samples, findings };
    },
  };
}

/**
 * Below the ports that the kernel gives to outgoing connections, one of which might otherwise take the port while the
 * backend is away.
 */
function startOnLowPort(handler: (request: FakeRequest) => ReturnType<Chaos["answer"]>) {
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
