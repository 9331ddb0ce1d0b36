/** What observers are told of a request, whichever way it goes. */
import { describe, expect, test } from "bun:test";
import { EJECTION_ON, PROBE_UNHEALTHY } from "../../src/pool/counters.ts";
import { ProxyError } from "../../src/errors.ts";
import type { ByteReader } from "../../src/transport/byte-reader.ts";
import { ok, refused, reset, truncated } from "../_support/attempt-bench.ts";
import { HandFedReader, readAll } from "../_support/byte-reader.ts";
import { handlerBench } from "../_support/handler-bench.ts";
import { HandFedBody } from "../_support/scripted-transport.ts";

const RETRY = { attempts: 3, budget: 0.2, on: ["connect", "reset", "503"] } as const;

describe("the end of a request", () => {
  test("that went well: the bytes both ways and the time to the head", async () => {
    const body = new HandFedReader().feed("12345", "678", null);
    const bench = handlerBench((exchange) => {
      void readAll(exchange.request.body!).then(() => {
        bench.clock.ms += 40;
        exchange.respond(200, new HandFedBody("whole"));
      });
    });
    await bench.send({ method: "POST", headers: { host: "a", "content-length": "8" }, body });
    expect(bench.facts.ends).toEqual([
      {
        status: 200,
        error: null,
        endedBy: "backend",
        phase: "done",
        requestBytes: 8,
        responseBytes: 5,
        firstByteMs: 40,
      },
    ]);
  });

  test("that is streamed counts what the client was given, to the last byte", async () => {
    const body = new HandFedBody().feed("four", "five!", null) as HandFedBody;
    const bench = handlerBench((exchange) => exchange.respond(200, body));
    const answer = await bench.send();
    bench.clock.ms += 500;
    expect(bench.facts.ends).toEqual([]);
    await readAll(answer.body as ByteReader);
    expect(bench.facts.ends).toMatchObject([
      { phase: "done", endedBy: "backend", responseBytes: 9, firstByteMs: 0 },
    ]);
  });

  test("that a backend answers early leaves what it did not read uncounted", async () => {
    const body = new HandFedReader().feed("12345");
    const bench = handlerBench((exchange) => {
      void exchange.request.body!.read().then(() => exchange.respond(413, null));
    });
    await bench.send({ method: "POST", headers: { host: "a", "content-length": "900" }, body });
    expect(bench.facts.ends).toMatchObject([
      { status: 413, error: null, endedBy: "backend", phase: "done", requestBytes: 5 },
    ]);
  });

  test("whose backend breaks within the body", async () => {
    const body = new HandFedBody().feed("four", truncated()) as HandFedBody;
    const bench = handlerBench((exchange) => exchange.respond(200, body));
    const answer = await bench.send();
    await expect(readAll(answer.body as ByteReader)).rejects.toThrow("broken");
    expect(bench.facts.ends).toMatchObject([
      { status: 200, error: "reset", endedBy: "backend", phase: "body", responseBytes: 4 },
    ]);
  });

  test("whose backend cannot be reached: our answer counts", async () => {
    const bench = handlerBench((exchange) => {
      bench.clock.ms += 7;
      exchange.fail(refused());
    });
    const { body } = await bench.send();
    expect(bench.facts.ends).toEqual([
      {
        status: 502,
        error: "connect_refused",
        endedBy: "backend",
        phase: "head",
        requestBytes: 0,
        responseBytes: (body as Uint8Array).length,
        firstByteMs: 7,
      },
    ]);
  });

  test("whose backend cannot be reached, asked by HEAD: no byte of a body is sent", async () => {
    const bench = handlerBench((exchange) => exchange.fail(refused()));
    await bench.send({ method: "HEAD" });
    expect(bench.facts.ends).toMatchObject([{ status: 502, responseBytes: 0 }]);
  });

  test("whose client goes away before the head", async () => {
    const bench = handlerBench(() => {});
    const answer = bench.send();
    bench.clientGone();
    await answer;
    expect(bench.facts.ends).toEqual([
      {
        status: null,
        error: "client_gone",
        endedBy: "client",
        phase: "head",
        requestBytes: 0,
        responseBytes: 0,
        firstByteMs: null,
      },
    ]);
  });

  test("whose client goes away within the body", async () => {
    const body = new HandFedBody().feed("four") as HandFedBody;
    const bench = handlerBench((exchange) => exchange.respond(200, body));
    const reader = (await bench.send()).body as ByteReader;
    await reader.read();
    reader.cancel();
    expect(bench.facts.ends).toMatchObject([
      { status: 200, error: "client_gone", endedBy: "client", phase: "body", responseBytes: 4 },
    ]);
  });

  test("whose client sends too slowly", async () => {
    const slow = new ProxyError("body_timeout", "the client stopped", { source: "client" });
    const bench = handlerBench((exchange) => exchange.fail(slow));
    await bench.send();
    expect(bench.facts.ends).toMatchObject([
      { status: 408, error: "body_timeout", endedBy: "client", phase: "head" },
    ]);
  });

  test("at its deadline, while the backend was to answer", async () => {
    const timeouts = { connectMs: 1, firstByteMs: 1, idleMs: 1, requestMs: 1 };
    const bench = handlerBench(() => {}, { pool: { timeouts } });
    await bench.send();
    expect(bench.facts.ends).toMatchObject([
      { status: 504, error: "request_timeout", endedBy: "backend", phase: "head" },
    ]);
  });

  test.each([
    ["a route that is not there", { target: "/none" }, 404, "no_route"],
    ["a method that is not forwarded", { method: "TRACE" }, 405, "method_not_allowed"],
    [
      "a body that is too large",
      {
        method: "POST",
        target: "/v1",
        headers: { host: "a", "content-length": "99" },
        body: new HandFedReader(),
      },
      413,
      "body_too_large",
    ],
  ])("that we refuse: %s", async (_, request, status, error) => {
    const bench = handlerBench(ok, {
      routes: [{ host: null, path: "/v1", pool: "web", stripPrefix: false }],
      pool: { body: { maxBytes: 10 } },
    });
    await bench.send(request);
    expect(bench.facts.ends).toMatchObject([{ status, error, endedBy: "proxy", phase: "head" }]);
    expect(bench.facts.attempts).toEqual([]);
  });

  test("with every backend out of service", async () => {
    const bench = handlerBench(ok);
    for (const row of [0, 1]) bench.counters.setProbe(row, PROBE_UNHEALTHY);
    await bench.send();
    expect(bench.facts.ends).toMatchObject([
      { status: 503, error: "no_backend_available", endedBy: "proxy", phase: "head" },
    ]);
  });

  test("that goes no further than us", async () => {
    const bench = handlerBench(ok);
    await bench.send({ method: "OPTIONS", headers: { host: "a", "max-forwards": "0" } });
    expect(bench.facts.ends).toMatchObject([
      { status: 204, error: null, endedBy: "proxy", phase: "done", responseBytes: 0 },
    ]);
  });
});

test("a request has an id, and its peer is trusted only if the config says so", async () => {
  const request = { peerAddress: "192.0.2.7", headers: { host: "a", "x-request-id": "theirs" } };
  const bench = handlerBench(ok);
  await bench.send(request);
  expect(bench.facts.started).toMatchObject([{ requestId: "r-1", trustedPeer: false }]);

  const trusting = handlerBench(ok, {
    trustedProxies: [{ address: "192.0.2.0", prefix: 24, family: "ipv4" }],
  });
  await trusting.send(request);
  expect(trusting.facts.started).toMatchObject([{ requestId: "theirs", trustedPeer: true }]);
});

describe("an attempt", () => {
  test("after one that could not connect says so", async () => {
    const bench = handlerBench(
      (exchange, index) => (index === 0 ? exchange.fail(refused()) : ok(exchange, index)),
      { pool: { retry: RETRY } },
    );
    await bench.send();
    expect(bench.facts.attempts.map((facts) => [facts.number, facts.retryReason])).toEqual([
      [1, null],
      [2, "connect"],
    ]);
  });

  test("after a reset, and after a status that is retried", async () => {
    const bench = handlerBench(
      (exchange, index) => {
        if (index === 0) exchange.fail(reset());
        else if (index === 1) exchange.respond(503, new HandFedBody("no"));
        else ok(exchange, index);
      },
      { backends: 3, pool: { retry: RETRY } },
    );
    await bench.send();
    expect(bench.facts.attempts.map((facts) => facts.retryReason)).toEqual([
      null,
      "reset",
      "status",
    ]);
    expect(bench.facts.attemptEnds.map(({ outcome }) => outcome)).toEqual(["reset", "ok", "ok"]);
  });

  test("goes out again when the idle connection was closed: the same attempt", async () => {
    const bench = handlerBench((exchange, index) =>
      index === 0 ? exchange.fail(reset(true)) : ok(exchange, index),
    );
    await bench.send();
    expect(bench.facts.attempts).toHaveLength(1);
    expect(bench.facts.told).toEqual(["routed web -", "reconnecting", "responded 200"]);
  });

  test("says how long the strategy took to pick", async () => {
    const bench = handlerBench(ok, {
      strategy: () => ({
        pick: ([first]) => {
          bench.clock.ms += 3;
          return first;
        },
      }),
    });
    await bench.send();
    expect(bench.facts.attempts[0]?.pickMs).toBe(3);
  });
});

describe("a retry that the budget does not allow", () => {
  /** The floor allows 30 in the window; each request here asks for one. */
  async function spend(backends: number) {
    const bench = handlerBench((exchange) => exchange.fail(reset()), {
      backends,
      pool: { retry: { ...RETRY, attempts: 2 } },
    });
    for (let request = 0; request < 31; request++) await bench.send();
    return bench.facts;
  }

  test("is told, once, and only then", async () => {
    const facts = await spend(2);
    expect(facts.attempts).toHaveLength(30 * 2 + 1);
    expect(facts.told.filter((what) => what === "retry refused")).toHaveLength(1);
  });

  test("is not told where nobody is left to try", async () => {
    expect((await spend(1)).told).not.toContain("retry refused");
  });
});

describe("the decision", () => {
  test("is not built for those who do not want it", async () => {
    const bench = handlerBench(ok, { wantsDecision: false });
    await bench.send();
    expect(bench.facts.attempts[0]?.decision).toBeNull();
  });

  test("has each candidate's load and score, and why the others are none", async () => {
    const bench = handlerBench(
      (exchange, index) => (index === 0 ? exchange.fail(refused()) : ok(exchange, index)),
      { backends: 6, pool: { retry: RETRY } },
    );
    const { counters } = bench;
    counters.setDraining(1, true);
    counters.setProbe(2, PROBE_UNHEALTHY);
    counters.setEjection(3, EJECTION_ON, 0);
    for (let sent = 0; sent < 4; sent++) counters.addInFlight(5, 0, 1);
    await bench.send();
    expect(bench.facts.attempts[1]?.decision).toEqual({
      candidates: [
        { id: "b4", inFlight: 0, score: 4 },
        { id: "b5", inFlight: 4, score: 5 },
      ],
      excluded: [
        { id: "b0", reason: "tried" },
        { id: "b1", reason: "draining" },
        { id: "b2", reason: "down" },
        { id: "b3", reason: "ejected" },
      ],
      tie: false,
      failOpen: false,
      ejected: 1,
    });
  });

  test("knows of a tie, and of backends at their limit", async () => {
    const bench = handlerBench(ok, {
      backends: 3,
      strategy: () => ({ score: ({ id }) => (id === "b0" ? Infinity : 1) }),
    });
    await bench.send();
    expect(bench.facts.attempts[0]?.decision).toMatchObject({
      tie: true,
      candidates: [{ score: Infinity }, { score: 1 }, { score: 1 }],
    });
  });

  test("has no scores where the strategy picks without", async () => {
    const bench = handlerBench(ok, { strategy: () => ({ pick: ([first]) => first }) });
    await bench.send();
    const { decision, candidates } = bench.facts.attempts[0]!;
    expect(candidates).toBe(2);
    expect(decision).toMatchObject({ tie: false, candidates: [{ score: null }, { score: null }] });
  });

  test("has those of least connections where the strategy failed half-way", async () => {
    const bench = handlerBench(ok, {
      strategy: () => ({ score: ({ id }) => (id === "b1" ? Number.NaN : 77) }),
    });
    bench.counters.addInFlight(0, 0, 1);
    await bench.send();
    const { decision, fallback } = bench.facts.attempts[0]!;
    expect(fallback).toBe(true);
    expect(decision?.candidates.map(({ score }) => score)).toEqual([1, 0]);
  });

  test("says that all are ejected and requests are sent anyway", async () => {
    const bench = handlerBench(ok);
    for (const row of [0, 1]) bench.counters.setEjection(row, EJECTION_ON, 0);
    await bench.send();
    expect(bench.facts.attempts[0]?.decision).toMatchObject({
      failOpen: true,
      ejected: 2,
      excluded: [],
    });
  });
});

describe("what a strategy says about an attempt", () => {
  test("arrives from its pick and from every hook, in order", async () => {
    const bench = handlerBench(ok, {
      strategy: ({ span }) => ({
        pick: ([first]) => {
          span.setAttribute("zone", "b");
          return first;
        },
        onStart: () => span.addEvent("start"),
        onResponse: (_, { status }) => span.addEvent("head", { status }),
        onEnd: (_, { outcome }) => span.setAttribute("outcome", outcome),
      }),
    });
    await bench.send();
    expect(bench.facts.notes).toEqual([
      ["zone", "b"],
      ["start", {}],
      ["head", { status: 200 }],
      ["outcome", "ok"],
    ]);
  });

  test("before its first answer or after its call has no attempt to go to", async () => {
    const late = Promise.withResolvers<void>();
    const bench = handlerBench(ok, {
      strategy: ({ span }) => ({
        pick: ([first]) => first,
        onPoolChange: () => span.setAttribute("too", "early"),
        onStart: async () => {
          await late.promise;
          span.setAttribute("too", "late");
        },
      }),
    });
    await bench.send();
    late.resolve();
    await late.promise;
    await Promise.resolve();
    expect(bench.facts.notes).toEqual([]);
  });
});
