/** Every way in which a request can end, and that its books are closed exactly once in each. */
import { describe, expect, test } from "bun:test";
import type { RetryReason } from "../../src/config/config.ts";
import { ProxyError } from "../../src/errors.ts";
import type { AttemptEnd, Strategy } from "../../src/plugin.ts";
import { AttemptLoop } from "../../src/proxy/attempt-loop.ts";
import type { FrontAnswer } from "../../src/proxy/front.ts";
import { ServingPool } from "../../src/proxy/serving-pool.ts";
import { StrategyHost } from "../../src/strategy/host.ts";
import type { ByteReader } from "../../src/transport/byte-reader.ts";
import { TransportError } from "../../src/transport/transport-error.ts";
import {
  type Counters,
  EJECTION_TRIAL_OPEN,
  EJECTION_TRIAL_TAKEN,
} from "../../src/pool/counters.ts";
import { Pool } from "../../src/pool/pool.ts";
import { HandFedReader, readAll } from "../_support/byte-reader.ts";
import { frontRequest } from "../_support/front-request.ts";
import { backendConfig, newCounters, poolConfig } from "../_support/pools.ts";
import {
  HandFedBody,
  type ScriptedExchange,
  ScriptedTransport,
} from "../_support/scripted-transport.ts";

type Script = (exchange: ScriptedExchange, index: number) => void;

interface Bench {
  readonly answer: Promise<FrontAnswer>;
  readonly exchanges: readonly ScriptedExchange[];
  readonly ends: AttemptEnd[];
  readonly requestEnds: (string | null)[];
  clientGone(): void;
  /** Attempts that count as a backend's failure. */
  blamed(): number;
  /** Fails unless nothing is in flight and everything that began has ended once. */
  expectClosedBooks(): void;
}

interface BenchOptions {
  readonly backends?: number;
  readonly retry?: boolean | readonly RetryReason[];
  readonly method?: string;
  readonly body?: HandFedReader;
  readonly strategy?: (counters: Counters) => Partial<Strategy>;
  readonly requestMs?: number;
  readonly maxInFlight?: number;
}

/** One request to backends that follow the script; `index` counts exchanges over all of them. */
function send(script: Script, options: BenchOptions = {}): Bench {
  const { backends = 2, maxInFlight = null } = options;
  const configs = Array.from({ length: backends }, (_, i) =>
    backendConfig(`b${i}`, { maxInFlight }),
  );
  const counters = newCounters(backends, 1);
  const config = poolConfig(configs, {
    retry:
      options.retry === false ? null : { attempts: 2, budget: 0.2, on: retryOn(options.retry) },
    timeouts: { connectMs: 1, firstByteMs: 1, idleMs: 1000, requestMs: options.requestMs ?? null },
  });
  const pool = new Pool(
    config,
    counters,
    configs.map((_, i) => i),
  );
  const started: number[] = [];
  const ends: AttemptEnd[] = [];
  const host = new StrategyHost({
    plugin: {
      name: "probe",
      apiVersion: 1,
      create: () => ({
        score: (backend) => backend.inFlight,
        onStart: (attempt) => void started.push(attempt.id),
        onEnd: (_attempt, end) => void ends.push(end),
        ...options.strategy?.(counters),
      }),
    },
    version: "1",
    options: undefined,
    pool: "web",
    backends: pool.backends,
    now: () => 0,
    random: () => 0.5,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    previous: null,
  });
  const exchanges: ScriptedExchange[] = [];
  const transport = new ScriptedTransport((exchange) => {
    exchanges.push(exchange);
    script(exchange, exchanges.length - 1);
  });
  const reports = { onFailing() {}, onTrialEnded() {} };
  const transports = new Map(pool.backends.map((backend) => [backend, transport]));
  const serving = new ServingPool(pool, host, transports, reports, () => 0);
  const requestEnds: (string | null)[] = [];
  let clientGone = (): void => {};
  let attempts = 0;
  const front = frontRequest({
    method: options.method ?? "GET",
    body: options.body ?? null,
    onGone: (callback) => {
      clientGone = callback;
    },
  });
  const headers = { get: () => null, has: () => false };
  const loop = new AttemptLoop(
    { worker: 0, now: () => 0, nextAttemptId: () => ++attempts },
    serving,
    {
      front,
      info: {
        method: front.method,
        path: "/",
        query: "",
        host: "a",
        headers,
        clientAddress: "192.0.2.7",
      },
      forwarding: { target: "/", peerAddress: "192.0.2.7", trusted: false, requestId: null },
      observed: null,
      onEnd: (_status, error) => void requestEnds.push(error),
    },
  );
  const answer = loop.run();
  answer.catch(() => {});
  return {
    answer,
    exchanges,
    ends,
    requestEnds,
    clientGone: () => clientGone(),
    blamed: () => configs.reduce((sum, _, row) => sum + counters.failures(row), 0),
    expectClosedBooks() {
      for (let row = 0; row < backends; row++) expect(counters.inFlight(row)).toBe(0);
      expect(ends).toHaveLength(started.length);
      expect(new Set(started).size).toBe(started.length);
    },
  };
}

function retryOn(retry: BenchOptions["retry"]): readonly RetryReason[] {
  return typeof retry === "object" ? retry : ["connect", "reset"];
}

const refused = () =>
  new TransportError("connect_refused", "refused", { outcome: "connect", retry: "always" });
const reset = (stale = false) =>
  new TransportError("reset", "reset", { outcome: "reset", retry: "idempotent", stale });
const truncated = () =>
  new TransportError("reset", "broken", { outcome: "truncated", retry: "never" });

const ok: Script = (exchange) => exchange.respond(200, new HandFedBody("whole"), 5);

function bytesOf(answer: FrontAnswer): string {
  return Buffer.from(answer.body as Uint8Array).toString();
}

describe("a request ends", () => {
  test("with a body that came with its head", async () => {
    const bench = send(ok);
    expect(bytesOf(await bench.answer)).toBe("whole");
    expect(bench.ends).toMatchObject([{ outcome: "ok", status: 200 }]);
    expect(bench.requestEnds).toEqual([null]);
    bench.expectClosedBooks();
  });

  test("without a body", async () => {
    const bench = send((exchange) => exchange.respond(204, null));
    expect((await bench.answer).body).toBeNull();
    bench.expectClosedBooks();
  });

  test("with a streamed body, at its last byte and not before", async () => {
    const body = new HandFedBody();
    const bench = send((exchange) => exchange.respond(200, body));
    const reader = (await bench.answer).body as ByteReader;
    body.feed("a");
    await reader.read();
    expect(bench.ends).toEqual([]);
    expect(bench.requestEnds).toEqual([]);
    body.feed(null);
    expect(await reader.read()).toBeNull();
    expect(bench.requestEnds).toEqual([null]);
    bench.expectClosedBooks();
  });

  test("with a streamed body that breaks", async () => {
    const body = new HandFedBody().feed("a", truncated()) as HandFedBody;
    const bench = send((exchange) => exchange.respond(200, body));
    const reader = (await bench.answer).body as ByteReader;
    await reader.read();
    expect(reader.read()).rejects.toThrow("broken");
    await Promise.resolve();
    expect(bench.ends).toMatchObject([{ outcome: "truncated", status: 200 }]);
    expect(bench.requestEnds).toEqual(["reset"]);
    bench.expectClosedBooks();
  });

  test("with a short body that breaks while it is collected: the client is told", async () => {
    const body = new HandFedBody().feed("a", truncated()) as HandFedBody;
    const bench = send((exchange) => exchange.respond(200, body, 5));
    expect(bench.answer).rejects.toMatchObject({ code: "reset" });
    await bench.answer.catch(() => {});
    bench.expectClosedBooks();
  });

  test("with the client leaving before the head", async () => {
    const bench = send(() => {});
    bench.clientGone();
    expect(bench.answer).rejects.toMatchObject({ code: "client_gone" });
    await bench.answer.catch(() => {});
    expect(bench.exchanges[0]?.aborted).toBeInstanceOf(ProxyError);
    expect(bench.ends).toMatchObject([{ outcome: "client_gone", status: null }]);
    bench.expectClosedBooks();
  });

  test("with the client leaving while a short body is collected", async () => {
    const body = new HandFedBody().feed("a") as HandFedBody;
    const bench = send((exchange) => exchange.respond(200, body, 5));
    while (body.reads < 2) await Promise.resolve();
    bench.clientGone();
    await bench.answer.catch(() => {});
    expect(bench.ends).toMatchObject([{ outcome: "client_gone" }]);
    bench.expectClosedBooks();
  });

  test("with the client leaving during the stream, told by either side", async () => {
    for (const how of ["cancel", "signal", "both"]) {
      const body = new HandFedBody().feed("a") as HandFedBody;
      const bench = send((exchange) => exchange.respond(200, body));
      const reader = (await bench.answer).body as ByteReader;
      await reader.read();
      if (how !== "signal") reader.cancel();
      if (how !== "cancel") bench.clientGone();
      expect(bench.ends).toMatchObject([{ outcome: "client_gone", status: 200 }]);
      expect(bench.requestEnds).toEqual(["client_gone"]);
      expect(bench.exchanges[0]?.aborted).not.toBeNull();
      bench.expectClosedBooks();
    }
  });

  test("at its deadline, before the head and during the stream", async () => {
    const early = send(() => {}, { requestMs: 1 });
    await early.answer.catch(() => {});
    expect(early.ends).toMatchObject([{ outcome: "timeout", status: null }]);
    early.expectClosedBooks();

    const body = new HandFedBody().feed("a") as HandFedBody;
    const late = send((exchange) => exchange.respond(200, body), { requestMs: 5 });
    const reader = (await late.answer).body as ByteReader;
    await reader.read();
    expect(await reader.read().catch((error: ProxyError) => error.code)).toBe("request_timeout");
    // Whether backend or client was slow is not known any more.
    expect(late.ends).toMatchObject([{ outcome: "client_gone", status: 200 }]);
    late.expectClosedBooks();
  });

  test("at its deadline while the client is still sending: the backend is not to blame", async () => {
    const body = new HandFedReader().feed("a");
    const bench = send((exchange) => void exchange.request.body?.read(), {
      requestMs: 5,
      method: "POST",
      body,
    });
    expect(bench.answer).rejects.toMatchObject({ code: "request_timeout", source: "client" });
    await bench.answer.catch(() => {});
    expect(bench.ends).toMatchObject([{ outcome: "client_gone" }]);
    expect(bench.blamed()).toBe(0);
    bench.expectClosedBooks();
  });

  test("with a refusal of the strategy, sent to nobody", async () => {
    const bench = send(ok, { strategy: () => ({ pick: () => null }) });
    expect(bench.answer).rejects.toMatchObject({ code: "strategy_refused" });
    await bench.answer.catch(() => {});
    expect(bench.exchanges).toEqual([]);
    bench.expectClosedBooks();
  });

  test("with every backend at its limit", async () => {
    const bench = send(ok, { maxInFlight: 0 });
    expect(bench.answer).rejects.toMatchObject({ code: "no_backend_available" });
    await bench.answer.catch(() => {});
    bench.expectClosedBooks();
  });
});

describe("when another worker was quicker", () => {
  test("with a backend's trial, the next candidate is picked for the same attempt", async () => {
    const attempts: number[] = [];
    const bench = send(ok, {
      strategy: (counters) => {
        counters.setEjection(0, EJECTION_TRIAL_OPEN, 0);
        return {
          pick: (candidates, { attempt }) => {
            attempts.push(attempt);
            counters.changeEjection(0, EJECTION_TRIAL_OPEN, EJECTION_TRIAL_TAKEN + 1);
            return candidates[0];
          },
        };
      },
    });
    await bench.answer;
    expect(attempts).toEqual([1, 1]);
    expect(bench.exchanges).toHaveLength(1);
    bench.expectClosedBooks();
  });

  test("with every place, the pool is looked at once more", async () => {
    let picks = 0;
    const bench = send(ok, {
      backends: 1,
      strategy: (counters) => {
        counters.setEjection(0, EJECTION_TRIAL_OPEN, 0);
        return {
          pick: (candidates, { failOpen }) => {
            picks++;
            // Taken now: every backend is ejected, and requests are sent anyway.
            counters.changeEjection(0, EJECTION_TRIAL_OPEN, EJECTION_TRIAL_TAKEN + 1);
            expect(failOpen).toBe(picks > 1);
            return candidates[0];
          },
        };
      },
    });
    expect(bytesOf(await bench.answer)).toBe("whole");
    expect(picks).toBe(2);
    bench.expectClosedBooks();
  });
});

describe("after a failure", () => {
  test("to connect, every other backend is tried, whatever the method", async () => {
    const bench = send(
      (exchange, index) => (index < 3 ? exchange.fail(refused()) : ok(exchange, index)),
      {
        backends: 4,
        method: "POST",
        body: new HandFedReader().feed("x", null),
      },
    );
    expect(bytesOf(await bench.answer)).toBe("whole");
    expect(bench.exchanges).toHaveLength(4);
    expect(bench.ends.map(({ outcome }) => outcome)).toEqual([
      "connect",
      "connect",
      "connect",
      "ok",
    ]);
    bench.expectClosedBooks();
  });

  test("to connect to all, the client gets the last failure", async () => {
    const bench = send((exchange) => exchange.fail(refused()), { backends: 3 });
    expect(bench.answer).rejects.toMatchObject({ code: "connect_refused" });
    await bench.answer.catch(() => {});
    expect(bench.exchanges).toHaveLength(3);
    bench.expectClosedBooks();
  });

  test("of a GET, one more backend is tried and no third", async () => {
    const bench = send((exchange) => exchange.fail(reset()), { backends: 4 });
    await bench.answer.catch(() => {});
    expect(bench.exchanges).toHaveLength(2);
    bench.expectClosedBooks();
  });

  test("of a POST that was sent, nothing is repeated", async () => {
    const bench = send((exchange) => exchange.fail(reset()), { method: "POST" });
    expect(bench.answer).rejects.toMatchObject({ code: "reset" });
    await bench.answer.catch(() => {});
    expect(bench.exchanges).toHaveLength(1);
    bench.expectClosedBooks();
  });

  test("of a connection that was stale, the same backend gets it again over a fresh one", async () => {
    const bench = send((exchange, index) =>
      index === 0 ? exchange.fail(reset(true)) : ok(exchange, index),
    );
    expect(bytesOf(await bench.answer)).toBe("whole");
    expect(bench.exchanges.map(({ request }) => request.fresh)).toEqual([false, true]);
    // One attempt, one lease, nobody blamed.
    expect(bench.ends).toMatchObject([{ outcome: "ok" }]);
    bench.expectClosedBooks();
  });

  test("the body is sent again from its first byte", async () => {
    const bodies: string[] = [];
    const bench = send(
      (exchange, index) => {
        void readAll(exchange.request.body as ByteReader).then((text) => {
          bodies.push(text);
          if (index === 0) exchange.fail(reset());
          else ok(exchange, index);
        });
      },
      { method: "PUT", body: new HandFedReader().feed("he", "llo", null) },
    );
    await bench.answer;
    expect(bodies).toEqual(["hello", "hello"]);
    bench.expectClosedBooks();
  });

  test("of a stale connection that cannot be repeated, the backend is not to blame", async () => {
    const bench = send((exchange) => exchange.fail(reset(true)), { method: "POST" });
    await bench.answer.catch(() => {});
    expect(bench.exchanges).toHaveLength(1);
    expect(bench.blamed()).toBe(0);
    const other = send((exchange) => exchange.fail(reset()), { method: "POST" });
    await other.answer.catch(() => {});
    expect(other.blamed()).toBe(1);
  });

  test("with retries off there is one attempt", async () => {
    const bench = send((exchange) => exchange.fail(refused()), { retry: false });
    await bench.answer.catch(() => {});
    expect(bench.exchanges).toHaveLength(1);
    bench.expectClosedBooks();
  });
});

describe("after a status that retry.on names", () => {
  const unavailable = (exchange: ScriptedExchange, text: string) =>
    exchange.respond(503, new HandFedBody(text), text.length, [["x-from", text]]);
  const on: readonly RetryReason[] = ["connect", "503"];

  test("another backend is asked, and nothing of the first answer reaches the client", async () => {
    const bench = send(
      (exchange, index) => (index === 0 ? unavailable(exchange, "first") : ok(exchange, index)),
      { retry: on },
    );
    const answer = await bench.answer;
    expect([answer.status, bytesOf(answer), answer.headers]).toEqual([200, "whole", []]);
    expect(bench.ends).toMatchObject([
      { outcome: "ok", status: 503 },
      { outcome: "ok", status: 200 },
    ]);
    expect(bench.blamed()).toBe(1);
    bench.expectClosedBooks();
  });

  test("and the same from everyone, the client gets the last one", async () => {
    const bench = send((exchange, index) => unavailable(exchange, `answer ${index}`), {
      retry: on,
      backends: 4,
    });
    const answer = await bench.answer;
    expect([answer.status, bytesOf(answer)]).toEqual([503, "answer 1"]);
    expect(bench.exchanges).toHaveLength(2);
    bench.expectClosedBooks();
  });

  test("and nobody else who can be reached, the client gets that answer after all", async () => {
    const bench = send(
      (exchange, index) => (index === 0 ? unavailable(exchange, "kept") : exchange.fail(refused())),
      { retry: on, backends: 3 },
    );
    const answer = await bench.answer;
    expect([answer.status, bytesOf(answer)]).toEqual([503, "kept"]);
    expect(bench.exchanges).toHaveLength(3);
    expect(bench.requestEnds).toEqual([null]);
    bench.expectClosedBooks();
  });

  test("a POST, a single backend, or another status is answered as it is", async () => {
    for (const options of [
      { retry: on, method: "POST" },
      { retry: on, backends: 1 },
      { retry: ["502"] as const },
    ]) {
      const bench = send((exchange) => unavailable(exchange, "as it is"), options);
      expect(bytesOf(await bench.answer)).toBe("as it is");
      expect(bench.exchanges).toHaveLength(1);
      bench.expectClosedBooks();
    }
  });

  test("and the client leaves while the other is asked: both are given up", async () => {
    const bench = send(
      (exchange, index) => {
        if (index === 0) unavailable(exchange, "kept");
      },
      { retry: on },
    );
    while (bench.exchanges.length < 2) await Promise.resolve();
    bench.clientGone();
    await bench.answer.catch(() => {});
    expect(bench.ends.map(({ outcome }) => outcome).toSorted()).toEqual(["client_gone", "ok"]);
    bench.expectClosedBooks();
  });

  test("and a broken body from the other: the client is told of that one", async () => {
    const broken = new HandFedBody().feed("a", truncated()) as HandFedBody;
    const bench = send(
      (exchange, index) =>
        index === 0 ? unavailable(exchange, "dropped") : exchange.respond(200, broken, 5),
      { retry: on },
    );
    expect(bench.answer).rejects.toMatchObject({ code: "reset" });
    await bench.answer.catch(() => {});
    bench.expectClosedBooks();
  });
});
