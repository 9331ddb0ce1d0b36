import type { LogFields, Logger } from "../../src/log.ts";
import type {
  Attempt,
  Backend,
  Candidates,
  PickContext,
  Strategy,
  StrategyEnv,
  StrategyPlugin,
} from "../../src/plugin.ts";
import type { StrategyFault } from "../../src/strategy/fault.ts";
import { StrategyHost, type StrategyHostOptions } from "../../src/strategy/host.ts";
import { createRandom } from "../../src/strategy/random.ts";

/** The last of the list has the fewest requests in flight, so least connections answers with it. */
export const backends = [backend("a", 3), backend("b", 2), backend("c", 1)] as const;
export const [a, b, c] = backends;
export const end = { outcome: "ok", status: 200, firstByteMs: 1, durationMs: 2 } as const;
export const head = {
  status: 200,
  firstByteMs: 1,
  headers: { get: () => null, has: () => false },
  upgraded: false,
};
const request = {
  method: "GET",
  path: "/",
  query: "",
  host: "example.test",
  headers: head.headers,
  clientAddress: "192.0.2.1",
};
export const context: PickContext = { request, attempt: 1, failOpen: false };

export function backend(id: string, inFlight: number): Backend {
  return Object.freeze({
    id,
    url: `http://${id}.test`,
    weight: 1,
    labels: {},
    health: "healthy",
    draining: false,
    inFlight,
  });
}

export function attempt(id: number, to: Backend = a): Attempt {
  return { id, backend: to, number: 1, request, startedAt: 0 };
}

interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields | undefined;
}

/** A strategy in its host, with all that it logs, and three backends. */
export class Stage {
  nowMs = 0;
  readonly lines: Line[] = [];
  readonly faults: StrategyFault[] = [];
  readonly host: StrategyHost;

  constructor(
    create: (env: StrategyEnv<unknown>) => unknown,
    options: Partial<StrategyHostOptions> & {
      readonly parseOptions?: (raw: unknown) => unknown;
    } = {},
  ) {
    const { parseOptions, ...rest } = options;
    const log = (level: string) => (message: string, fields?: LogFields) =>
      void this.lines.push({ level, message, fields });
    const logger: Logger = {
      debug: log("debug"),
      info: log("info"),
      warn: log("warn"),
      error: log("error"),
    };
    const plugin: StrategyPlugin<unknown> = {
      name: "mine",
      apiVersion: 1,
      create: create as (env: StrategyEnv<unknown>) => Strategy,
      ...(parseOptions && { parseOptions }),
    };
    this.host = new StrategyHost({
      plugin,
      version: "v1",
      options: undefined,
      pool: "web",
      backends,
      now: () => this.nowMs,
      random: createRandom(1),
      log: logger,
      previous: null,
      onFault: (fault) => void this.faults.push(fault),
      ...rest,
    });
  }

  pick(candidates: Candidates = Object.freeze([a, b, c] as const)) {
    return this.host.pick(candidates, context);
  }
}

export function stage(...options: ConstructorParameters<typeof Stage>): Stage {
  return new Stage(...options);
}

/** A revoked Proxy throws at everything that is done with it, `instanceof` included. */
export function untouchable(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

export async function rejected(): Promise<never> {
  throw new Error("late");
}

export function ignore(): void {}
