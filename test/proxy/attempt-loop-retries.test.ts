/** What the attempt loop does after a failure, and after an answer that may be retried. */
import { describe, expect, test } from "bun:test";
import type { RetryReason } from "../../src/config/config.ts";
import type { ProxyError } from "../../src/errors.ts";
import type { ByteReader } from "../../src/transport/byte-reader.ts";
import { bytesOf, ok, refused, reset, send, truncated } from "../_support/attempt-bench.ts";
import { HandFedReader, readAll } from "../_support/byte-reader.ts";
import { HandFedBody, type ScriptedExchange } from "../_support/scripted-transport.ts";

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

  test("of a connection that was stale, the answer that came instead may still be retried", async () => {
    const bench = send(
      (exchange, index) => {
        if (index === 0) exchange.fail(reset(true));
        else if (index === 1) exchange.respond(503, null);
        else ok(exchange, index);
      },
      { retry: ["503"] },
    );
    expect(bytesOf(await bench.answer)).toBe("whole");
    expect(bench.exchanges).toHaveLength(3);
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
    expect(bench.requestEnds).toMatchObject([{ error: null }]);
    bench.expectClosedBooks();
  });

  test("and nobody else who can be reached, and its own body breaks: the client is told", async () => {
    // The books of a kept answer stayed open when it broke: its backend had one in flight for ever.
    const broken = new HandFedBody().feed("a", truncated()) as HandFedBody;
    const bench = send(
      (exchange, index) =>
        index === 0 ? exchange.respond(503, broken, 5) : exchange.fail(refused()),
      { retry: on },
    );
    const { body } = await bench.answer;
    const reader = body as ByteReader;
    expect(Buffer.from((await reader.read()) ?? []).toString()).toBe("a");
    expect(await reader.read().catch((error: ProxyError) => error.code)).toBe("reset");
    expect(bench.ends).toMatchObject([{ outcome: "connect" }, { outcome: "truncated" }]);
    bench.expectClosedBooks();
  });

  test("and the client leaves while the kept answer is sent", async () => {
    const body = new HandFedBody().feed("a") as HandFedBody;
    const bench = send(
      (exchange, index) =>
        index === 0 ? exchange.respond(503, body, 5) : exchange.fail(refused()),
      { retry: on },
    );
    await bench.answer;
    bench.clientGone();
    expect(bench.ends).toMatchObject([{ outcome: "connect" }, { outcome: "client_gone" }]);
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
    const sent = (await bench.answer).body as ByteReader;
    expect(Buffer.from((await sent.read()) ?? []).toString()).toBe("a");
    expect(await sent.read().catch((error: ProxyError) => error.code)).toBe("reset");
    bench.expectClosedBooks();
  });
});
