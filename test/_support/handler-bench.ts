/** The whole handler over backends that a script plays: what a client gets, and what observers are told. */
import type { PoolConfig, RouteConfig, TrustedProxy } from "../../src/config/config.ts";
import type { Strategy, StrategyEnv } from "../../src/plugin.ts";
import type { Counters } from "../../src/pool/counters.ts";
import { Pool } from "../../src/pool/pool.ts";
import { Affinity } from "../../src/proxy/affinity.ts";
import type { FrontAnswer, FrontRequest } from "../../src/proxy/front.ts";
import { createHandler } from "../../src/proxy/handler.ts";
import { ServingPool } from "../../src/proxy/serving-pool.ts";
import type { ShadowFeed } from "../../src/proxy/shadow-feed.ts";
import { StrategyHost } from "../../src/strategy/host.ts";
import { frontRequest } from "./front-request.ts";
import { backendConfig, newCounters, poolConfig } from "./pools.ts";
import { RecordedFacts } from "./recorded-facts.ts";
import { type ScriptedExchange, ScriptedTransport } from "./scripted-transport.ts";

export interface HandlerBenchOptions {
  /** Default 2, called `b0`, `b1`. */
  readonly backends?: number;
  readonly pool?: Partial<PoolConfig>;
  readonly routes?: readonly RouteConfig[];
  /** Default: in the order of the pool. */
  readonly strategy?: (env: StrategyEnv<unknown>) => Strategy;
  readonly wantsDecision?: boolean;
  readonly trustedProxies?: readonly TrustedProxy[];
  /** Default: nobody is shown anything. */
  readonly shadow?: ShadowFeed;
}

export interface HandlerBench {
  readonly facts: RecordedFacts;
  readonly counters: Counters;
  /** Moves only when a test moves it. */
  readonly clock: { ms: number };
  send(request?: Parameters<typeof frontRequest>[0]): Promise<FrontAnswer>;
  /** Of the last request. */
  clientGone(): void;
}

/** `index` counts exchanges over all backends and requests. */
export function handlerBench(
  script: (exchange: ScriptedExchange, index: number) => void,
  options: HandlerBenchOptions = {},
): HandlerBench {
  const { backends = 2 } = options;
  const configs = Array.from({ length: backends }, (_, index) => backendConfig(`b${index}`));
  const counters = newCounters(backends, 1);
  const config = poolConfig(configs, options.pool);
  const rows = configs.map((_, row) => row);
  const pool = new Pool(config, counters, rows);
  const clock = { ms: 1000 };
  const now = (): number => clock.ms;
  const host = new StrategyHost({
    plugin: {
      name: "in-order",
      apiVersion: 1,
      create: options.strategy ?? (() => ({ score: ({ id }) => Number(id.slice(1)) })),
    },
    version: "1",
    options: undefined,
    pool: "web",
    backends: pool.backends,
    now,
    random: () => 0.5,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    previous: null,
  });
  let exchanges = 0;
  const { affinity } = config;
  const transport = new ScriptedTransport((exchange) => script(exchange, exchanges++));
  const serving = new ServingPool(
    pool,
    host,
    new Map(pool.backends.map((backend) => [backend, transport])),
    { onFailing() {}, onTrialEnded() {} },
    now,
    undefined,
    {
      affinity: affinity === null ? null : new Affinity(pool, affinity, affinity.secret ?? "", now),
      shadow: options.shadow ?? null,
    },
  );
  const facts = new RecordedFacts();
  facts.wantsDecision = options.wantsDecision ?? true;
  let attempts = 0;
  const handler = createHandler({
    config: {
      routes: options.routes ?? [],
      pools: [config],
      trustedProxies: options.trustedProxies ?? [],
      requestId: true,
    },
    pools: new Map([["web", serving]]),
    context: { worker: 0, now, nextAttemptId: () => ++attempts },
    observer: facts,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    requestIdPrefix: "r-",
    instance: "a1",
  });
  let gone: Parameters<FrontRequest["onGone"]>[0] = () => {};
  return {
    facts,
    counters,
    clock,
    send: (request) =>
      handler(frontRequest({ onGone: (callback) => void (gone = callback), ...request })),
    clientGone: () => gone(),
  };
}
