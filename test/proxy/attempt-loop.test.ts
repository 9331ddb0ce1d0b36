/** Every way in which a request can end, and that its books are closed exactly once in each. */
import { afterEach, describe, expect, jest, test } from "bun:test";
import { ProxyError } from "../../src/errors.ts";
import { EJECTION_TRIAL_OPEN } from "../../src/pool/counters.ts";
import { bytesOf, ok, reset, send, truncated } from "../_support/attempt-bench.ts";
import type { ByteReader } from "../../src/transport/byte-reader.ts";
import { HandFedReader, readAll } from "../_support/byte-reader.ts";
import { HandFedBody, type ScriptedExchange } from "../_support/scripted-transport.ts";

afterEach(() => void jest.useRealTimers());

describe("a request ends", () => {
  test("with a body that came with its head", async () => {
    const bench = send(ok);
    expect(bytesOf(await bench.answer)).toBe("whole");
    expect(bench.ends).toMatchObject([{ outcome: "ok", status: 200 }]);
    expect(bench.requestEnds).toMatchObject([{ error: null }]);
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
    expect(bench.requestEnds).toMatchObject([{ error: null }]);
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
    expect(bench.requestEnds).toMatchObject([{ error: "reset" }]);
    bench.expectClosedBooks();
  });

  test("with a short body that breaks while it is sent: the client is told", async () => {
    const body = new HandFedBody().feed("a", truncated()) as HandFedBody;
    const bench = send((exchange) => exchange.respond(200, body, 5));
    const sent = (await bench.answer).body as ByteReader;
    expect(Buffer.from((await sent.read()) ?? []).toString()).toBe("a");
    expect(await sent.read().catch((error: ProxyError) => error.code)).toBe("reset");
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

  test("with the client leaving during the stream, told by either side", async () => {
    for (const how of ["cancel", "signal", "both"]) {
      const body = new HandFedBody().feed("a") as HandFedBody;
      const bench = send((exchange) => exchange.respond(200, body));
      const reader = (await bench.answer).body as ByteReader;
      await reader.read();
      if (how !== "signal") reader.cancel();
      if (how !== "cancel") bench.clientGone();
      expect(bench.ends).toMatchObject([{ outcome: "client_gone", status: 200 }]);
      expect(bench.requestEnds).toMatchObject([{ error: "client_gone" }]);
      expect(bench.exchanges[0]?.aborted).not.toBeNull();
      bench.expectClosedBooks();
    }
  });

  test.each([
    ["whole", (exchange: ScriptedExchange) => ok(exchange, 0)],
    ["streamed", (exchange: ScriptedExchange) => exchange.respond(200, new HandFedBody("a"))],
    ["a failure", (exchange: ScriptedExchange) => exchange.fail(reset())],
  ] as const)("before its deadline (%s): no timer is left behind", async (_what, script) => {
    jest.useFakeTimers();
    const bench = send(script, { requestMs: 3_600_000, retry: false });
    const { body } = await bench.answer.catch(() => ({ body: null }));
    if (body !== null && !(body instanceof Uint8Array)) await readAll(body);
    bench.expectClosedBooks();
    expect(jest.getTimerCount()).toBe(0);
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
            counters.takeTrial(0, 0);
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
            counters.takeTrial(0, 0);
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
