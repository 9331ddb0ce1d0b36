/** What both strategies that go by response times must do. */
import { describe, expect, test } from "bun:test";
import leastTime from "../../plugins/least-time.ts";
import peakEwma from "../../plugins/peak-ewma.ts";
import type { Attempt, Backend } from "../../src/plugin.ts";
import { Rehearsal } from "../../src/strategy/rehearsal.ts";
import { strategySuite } from "../../src/strategy/suite.ts";
import { strangeness } from "../_support/chi-square.ts";
import {
  countPicks,
  exchange,
  finish,
  requestWith,
  respond,
  send,
} from "../_support/rehearsed-exchange.ts";

type Pair = [Backend, Backend];
type Three = [Backend, Backend, Backend];

for (const plugin of [peakEwma, leastTime]) {
  /** Two backends, so that both are looked at in every pick. */
  function rehearse(options?: unknown, weights: readonly number[] = [1, 1]): Rehearsal {
    return new Rehearsal({ plugin, options, weights });
  }

  /** Which of two backends is picked next, and always the same. */
  function preferred(rehearsal: Rehearsal): string {
    const [first = 0, second = 0] = countPicks(rehearsal, 20);
    return first === 20 ? "first" : second === 20 ? "second" : "either";
  }

  describe(plugin.name, () => {
    for (const options of [undefined, { decay: "2s", penalty: "1s", maxRetryAfter: "0s" }]) {
      for (const { name, run } of strategySuite(plugin, options)) {
        test(`${name}, with ${JSON.stringify(options) ?? "no options"}`, run);
      }
    }

    test("gives idle backends that nothing is known of the same share", () => {
      const counts = countPicks(rehearse(undefined, [1, 1, 1, 1, 1]), 20_000);
      expect(strangeness(counts, [1, 1, 1, 1, 1])).toBeLessThan(1);
    });

    test("gives requests that never get an answer to all backends by weight", () => {
      const rehearsal = rehearse(undefined, [1, 3]);
      for (let count = 0; count < 40; count++) {
        const { backend } = rehearsal.pick();
        if (backend !== null) send(rehearsal, backend);
      }
      expect(rehearsal.backends.map(({ inFlight }) => inFlight)).toEqual([10, 30]);
    });

    test("prefers the backend that answers faster", () => {
      const rehearsal = rehearse();
      const [slow, fast] = rehearsal.backends as Pair;
      exchange(rehearsal, slow, { ms: 200 });
      exchange(rehearsal, fast, { ms: 50 });
      expect(preferred(rehearsal)).toBe("second");
    });

    test("counts requests in flight: four at 50 ms are as bad as one at 200 ms", () => {
      const rehearsal = rehearse();
      const [slow, fast] = rehearsal.backends as Pair;
      exchange(rehearsal, slow, { ms: 200 });
      exchange(rehearsal, fast, { ms: 50 });
      for (let count = 0; count < 3; count++) {
        expect(preferred(rehearsal)).toBe("second");
        send(rehearsal, fast);
      }
      send(rehearsal, fast);
      expect(preferred(rehearsal)).toBe("first");
    });

    test("counts a backend's weight", () => {
      const rehearsal = rehearse(undefined, [1, 8]);
      const [light, heavy] = rehearsal.backends as Pair;
      exchange(rehearsal, light, { ms: 50 });
      exchange(rehearsal, heavy, { ms: 200 });
      expect(preferred(rehearsal)).toBe("second");
    });

    test("tries a slow backend again when what is known of it has faded", () => {
      const rehearsal = rehearse();
      const [slow, fast] = rehearsal.backends as Pair;
      exchange(rehearsal, slow, { ms: 500 });
      let seconds = 0;
      do {
        exchange(rehearsal, fast, { ms: 50 });
        rehearsal.nowMs += 950;
        seconds++;
      } while (preferred(rehearsal) === "second" && seconds < 100);
      // 500 ms fades to 50 ms in 10 s x ln 10.
      expect(seconds).toBeGreaterThan(21);
      expect(seconds).toBeLessThan(26);
    });

    for (const status of [500, 502, 503, 504, 429]) {
      test(`takes a fast ${status} for a very slow answer`, () => {
        const rehearsal = rehearse();
        const [failing, slow] = rehearsal.backends as Pair;
        for (let count = 0; count < 3; count++) exchange(rehearsal, slow, { ms: 800 });
        for (let count = 0; count < 3; count++) exchange(rehearsal, failing, { ms: 1, status });
        expect(preferred(rehearsal)).toBe("second");
      });
    }

    for (const status of [404, 501, 505]) {
      test(`takes a fast ${status} for an answer`, () => {
        const rehearsal = rehearse();
        const [fast, slow] = rehearsal.backends as Pair;
        exchange(rehearsal, slow, { ms: 50 });
        exchange(rehearsal, fast, { ms: 10, status });
        expect(preferred(rehearsal)).toBe("first");
      });
    }

    for (const outcome of ["connect", "reset", "timeout", "invalid"] as const) {
      test(`takes an attempt that ends with ${outcome} for a very slow answer`, () => {
        const rehearsal = rehearse();
        const [failing, slow] = rehearsal.backends as Pair;
        exchange(rehearsal, slow, { ms: 800 });
        finish(rehearsal, send(rehearsal, failing), { outcome });
        expect(preferred(rehearsal)).toBe("second");
      });
    }

    for (const outcome of ["reset", "truncated", "timeout"] as const) {
      test(`takes a response that breaks off with ${outcome} for a very slow answer`, () => {
        const rehearsal = rehearse();
        const [failing, slow] = rehearsal.backends as Pair;
        exchange(rehearsal, slow, { ms: 800 });
        const attempt = send(rehearsal, failing);
        rehearsal.nowMs += 5;
        respond(rehearsal, attempt);
        finish(rehearsal, attempt, { outcome, status: 200 });
        expect(preferred(rehearsal)).toBe("second");
      });
    }

    test("does not count 429 when it is told to ignore it", () => {
      const rehearsal = rehearse({ tooManyRequests: "ignore" });
      const [busy, slow] = rehearsal.backends as Pair;
      exchange(rehearsal, busy, { ms: 50 });
      exchange(rehearsal, slow, { ms: 100 });
      exchange(rehearsal, busy, { ms: 1, status: 429, headers: { "retry-after": "60" } });
      expect(preferred(rehearsal)).toBe("first");
    });

    test("does not take a 429 that it ignores for a fast answer either", () => {
      const rehearsal = rehearse({ tooManyRequests: "ignore" });
      const [limiting, other] = rehearsal.backends as Pair;
      exchange(rehearsal, limiting, { ms: 1, status: 429 });
      exchange(rehearsal, other, { ms: 50 });
      // By the other's 50 ms it has more to do now, by its own 1 ms it would not.
      for (let count = 0; count < 3; count++) send(rehearsal, limiting);
      expect(preferred(rehearsal)).toBe("second");
    });

    test("notices that the time of a Retry-After is over, though nothing else has happened", () => {
      const rehearsal = rehearse({ penalty: "0s" });
      const [asking, other] = rehearsal.backends as Pair;
      exchange(rehearsal, asking, { ms: 0, status: 503, headers: { "retry-after": "21" } });
      exchange(rehearsal, other, { ms: 10_000 });
      expect(preferred(rehearsal)).toBe("second");
      rehearsal.nowMs = 21_100;
      expect(preferred(rehearsal)).toBe("first");
    });

    test("leaves a backend alone for as long as its Retry-After asks, though it did well before", () => {
      const rehearsal = rehearse();
      const [asking, slow] = rehearsal.backends as Pair;
      exchange(rehearsal, asking, { ms: 10 });
      exchange(rehearsal, asking, { ms: 1, status: 503, headers: { "retry-after": "60" } });
      const since = rehearsal.nowMs;
      while (rehearsal.nowMs < since + 60_000) {
        exchange(rehearsal, slow, { ms: 2000 });
        expect(preferred(rehearsal)).toBe("second");
      }
      // Then it is as after any failure: 5 s fades to 2 s in 10 s x ln 2.5.
      rehearsal.nowMs = since + 60_000 + 9500;
      exchange(rehearsal, slow, { ms: 2000 });
      expect(preferred(rehearsal)).toBe("first");
    });

    test("honours a Retry-After no longer than it is allowed to", () => {
      for (const [options, heldMs] of [
        [undefined, 300_000],
        [{ maxRetryAfter: "20s" }, 20_000],
      ] as const) {
        const rehearsal = rehearse(options);
        const [asking, slow] = rehearsal.backends as Pair;
        exchange(rehearsal, asking, { ms: 0, status: 503, headers: { "retry-after": "99999" } });
        rehearsal.nowMs = heldMs - 5000;
        exchange(rehearsal, slow, { ms: 4000 });
        expect(preferred(rehearsal)).toBe("second");
        // 5 s fades to a third of 4 s in less than 15 s.
        rehearsal.nowMs = heldMs + 15_000;
        exchange(rehearsal, slow, { ms: 4000 });
        expect(preferred(rehearsal)).toBe("first");
      }
    });

    test("does not take a backend that asked to be left alone for one on trial", () => {
      const rehearsal = rehearse();
      const [asking, failing] = rehearsal.backends as Pair;
      exchange(rehearsal, asking, { ms: 0, status: 503, headers: { "retry-after": "100" } });
      rehearsal.nowMs = 50_000;
      send(rehearsal, asking);
      finish(rehearsal, send(rehearsal, failing), { outcome: "reset" });
      expect(preferred(rehearsal)).toBe("second");
    });

    test("takes a backend back early when it answers a request that was sent after its Retry-After", () => {
      const rehearsal = rehearse({ penalty: "100ms" });
      const [asking, slow] = rehearsal.backends as Pair;
      const before = send(rehearsal, asking);
      exchange(rehearsal, asking, { ms: 10, status: 503, headers: { "retry-after": "100" } });
      exchange(rehearsal, slow, { ms: 3000 });
      // Sent before: says nothing about now.
      respond(rehearsal, before);
      finish(rehearsal, before, { status: 200 });
      expect(preferred(rehearsal)).toBe("second");
      rehearsal.nowMs += 1000;
      exchange(rehearsal, asking, { ms: 10 });
      expect(preferred(rehearsal)).toBe("first");
    });

    test("gives a backend that joined one request at a time until it has answered", () => {
      const rehearsal = rehearse();
      for (const backend of rehearsal.backends) exchange(rehearsal, backend, { ms: 100 });
      let joined: Backend | null = null;
      const running: Attempt[] = [];
      let trials = 0;
      for (let count = 0; count < 300; count++) {
        if (count === 50) {
          rehearsal.changePool(2, [1]);
          joined = rehearsal.backends[2] as Backend;
        }
        const { backend } = rehearsal.pick();
        if (backend === null) throw new Error("expected an answer");
        const attempt = send(rehearsal, backend);
        if (backend === joined) trials++;
        else running.push(attempt);
        rehearsal.nowMs += 10;
        if (running.length > 10) {
          const done = running.shift() as Attempt;
          respond(rehearsal, done);
          finish(rehearsal, done, { status: 200 });
        }
      }
      expect(trials).toBe(1);
    });

    test("keeps to silent backends when the only one that answered failed, however long they take", () => {
      // All start together, and the first to be heard of is the one that fails at once.
      const rehearsal = rehearse(undefined, [1, 1, 1, 1]);
      const failing = rehearsal.backends[0] as Backend;
      let failures = 0;
      for (let count = 0; count < 400; count++) {
        const { backend } = rehearsal.pick();
        if (backend === null) throw new Error("expected an answer");
        rehearsal.nowMs += 20;
        if (backend !== failing) send(rehearsal, backend);
        else {
          failures++;
          exchange(rehearsal, backend, { ms: 1, status: 503 });
        }
      }
      expect(failures).toBeGreaterThan(0);
      expect(failures).toBeLessThanOrEqual(2);
    });

    test("rather gives another request to a backend on trial than one to a backend that failed", () => {
      const rehearsal = rehearse(undefined, [1, 1, 1]);
      const [working, joined, failing] = rehearsal.backends as Three;
      exchange(rehearsal, working, { ms: 2000 });
      for (let count = 0; count < 3; count++) send(rehearsal, working);
      send(rehearsal, joined);
      finish(rehearsal, send(rehearsal, failing), { outcome: "connect" });
      for (let count = 0; count < 20; count++) {
        expect(rehearsal.pick([joined, failing]).backend).toBe(joined);
        expect(rehearsal.pick([joined, working]).backend).toBe(working);
      }
    });

    test("tries a backend that joined even if traffic is so light that another is always idle", () => {
      const rehearsal = rehearse();
      for (const backend of rehearsal.backends) exchange(rehearsal, backend, { ms: 20 });
      rehearsal.changePool(2, [1]);
      const joined = rehearsal.backends[2] as Backend;
      let trials = 0;
      for (let count = 0; count < 50; count++) {
        const { backend } = rehearsal.pick();
        if (backend === joined) trials++;
        if (backend !== null) exchange(rehearsal, backend, { ms: 20 });
        rehearsal.nowMs += 100;
      }
      expect(trials).toBeGreaterThan(5);
    });

    test("takes a backend that comes back from being down for a new one", () => {
      const rehearsal = rehearse();
      const [back, other] = rehearsal.backends as Pair;
      exchange(rehearsal, other, { ms: 100 });
      finish(rehearsal, send(rehearsal, back), { outcome: "connect" });
      rehearsal.host.healthChanged(back, "unhealthy", "healthy");
      expect(preferred(rehearsal)).toBe("first");
      // One at a time.
      send(rehearsal, back);
      expect(preferred(rehearsal)).toBe("second");
    });

    test("does not rush to backends of which nothing was heard for long", () => {
      const rehearsal = rehearse(undefined, [1, 1, 1]);
      const [one, other, busy] = rehearsal.backends as Three;
      for (const backend of [one, other]) exchange(rehearsal, backend, { ms: 100 });
      rehearsal.nowMs += 100_000;
      exchange(rehearsal, busy, { ms: 100 });
      expect(countPicks(rehearsal, 20)[2]).toBe(0);
      for (const backend of [one, other]) send(rehearsal, backend);
      for (let count = 0; count < 5; count++) send(rehearsal, busy);
      rehearsal.nowMs += 200;
      for (const silent of [one, other]) {
        expect(rehearsal.pick([silent, busy]).backend).toBe(busy);
      }
    });

    test("keeps a backend on trial that came back while a request from before was running", () => {
      const rehearsal = rehearse();
      const [back, other] = rehearsal.backends as Pair;
      const before = send(rehearsal, back);
      rehearsal.host.healthChanged(back, "unhealthy", "healthy");
      finish(rehearsal, before, { outcome: "client_gone" });
      exchange(rehearsal, other, { ms: 100 });
      send(rehearsal, other);
      expect(preferred(rehearsal)).toBe("first");
      send(rehearsal, back);
      expect(preferred(rehearsal)).toBe("second");
    });

    test("hands on what it knows of a backend that never answered", () => {
      const first = rehearse();
      const [silent] = first.backends as Pair;
      const attempt = send(first, silent);
      first.nowMs += 700;
      finish(first, attempt, { outcome: "client_gone" });
      const snapshot = JSON.parse(JSON.stringify(first.host.takeSnapshot())) as unknown;
      const previous = { name: plugin.name, snapshot };
      const second = new Rehearsal({ plugin, weights: [1, 1], previous });
      expect(second.host.takeSnapshot()).toEqual(snapshot);
      expect(preferred(second)).toBe("second");
    });

    test("shares a burst that ends a long silence by requests in flight", () => {
      const rehearsal = rehearse();
      const [one, other] = rehearsal.backends as Pair;
      exchange(rehearsal, one, { ms: 100 });
      rehearsal.nowMs += 50_000;
      exchange(rehearsal, other, { ms: 100 });
      rehearsal.nowMs += 50_000;
      for (let count = 0; count < 20; count++) {
        const { backend } = rehearsal.pick();
        if (backend !== null) send(rehearsal, backend);
      }
      expect(one.inFlight).toBe(10);
    });

    test("shares by requests in flight when nothing was heard of anybody for long", () => {
      const rehearsal = rehearse();
      const [one, other] = rehearsal.backends as Pair;
      exchange(rehearsal, one, { ms: 900 });
      exchange(rehearsal, other, { ms: 100 });
      rehearsal.nowMs += 10_000_000;
      // Tunnels: they are heard of, and nothing is measured.
      const tunnel = (backend: Backend) =>
        respond(rehearsal, send(rehearsal, backend), { status: 101, upgraded: true });
      for (const backend of [one, other, other]) tunnel(backend);
      expect(preferred(rehearsal)).toBe("first");
      for (let count = 0; count < 2; count++) tunnel(one);
      expect(preferred(rehearsal)).toBe("second");
    });

    const streams = {
      "a WebSocket": { status: 101, upgraded: true },
      "a stream of events": { headers: { "content-type": "Text/Event-Stream; charset=utf-8" } },
    } as const;
    for (const [what, head] of Object.entries(streams)) {
      test(`leaves ${what} out of response times`, () => {
        const rehearsal = rehearse();
        const [streaming, other] = rehearsal.backends as Pair;
        exchange(rehearsal, streaming, { ms: 200 });
        exchange(rehearsal, other, { ms: 100 });
        for (let count = 0; count < 50; count++) exchange(rehearsal, streaming, { ms: 1, ...head });
        for (let count = 0; count < 2; count++) exchange(rehearsal, other, { ms: 5000, ...head });
        // 10 s have passed: both have faded alike.
        expect(preferred(rehearsal)).toBe("second");
      });
    }

    test("shares streams that stay open by requests in flight", () => {
      const rehearsal = rehearse(undefined, [1, 1, 1]);
      for (let count = 0; count < 30; count++) {
        if (count === 15) rehearsal.changePool(2, [1]);
        const { backend } = rehearsal.pick();
        if (backend === null) throw new Error("expected an answer");
        const attempt = send(rehearsal, backend);
        rehearsal.nowMs += 60_000;
        respond(rehearsal, attempt, { status: 101, upgraded: true });
      }
      const counts = rehearsal.backends.map(({ inFlight }) => inFlight);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(
        plugin === leastTime ? 1 : 3,
      );
    });

    test("does not hold against a backend that a client takes long to send its request", () => {
      for (const headers of [{ "content-length": "9000000" }, { "transfer-encoding": "chunked" }]) {
        const rehearsal = rehearse();
        const [receiving, other] = rehearsal.backends as Pair;
        exchange(rehearsal, receiving, { ms: 50 });
        exchange(rehearsal, other, { ms: 100 });
        const upload = send(rehearsal, receiving, requestWith({ method: "PUT", headers }));
        rehearsal.nowMs += 30_000;
        for (const [ms, backend] of [
          [50, receiving],
          [100, other],
        ] as const) {
          exchange(rehearsal, backend, { ms });
        }
        respond(rehearsal, upload);
        finish(rehearsal, upload, { status: 200 });
        expect(preferred(rehearsal)).toBe("first");
      }
    });

    test("counts a small body: it went out with the head", () => {
      const rehearsal = rehearse();
      const [slow, other] = rehearsal.backends as Pair;
      exchange(rehearsal, slow, { ms: 50 });
      exchange(rehearsal, other, { ms: 100 });
      const headers = { "content-length": "500" };
      const attempt = send(rehearsal, slow, requestWith({ method: "POST", headers }));
      rehearsal.nowMs += 60_000;
      respond(rehearsal, attempt);
      finish(rehearsal, attempt, { status: 200 });
      exchange(rehearsal, other, { ms: 100 });
      expect(preferred(rehearsal)).toBe("second");
    });

    test("learns from a client that had waited long when it went away", () => {
      const rehearsal = rehearse();
      const [silent, other] = rehearsal.backends as Pair;
      exchange(rehearsal, silent, { ms: 50 });
      exchange(rehearsal, other, { ms: 300 });
      const attempt = send(rehearsal, silent);
      rehearsal.nowMs += 5000;
      finish(rehearsal, attempt, { outcome: "client_gone" });
      exchange(rehearsal, other, { ms: 300 });
      expect(preferred(rehearsal)).toBe("second");
    });

    test("learns nothing from a client that went away soon", () => {
      const rehearsal = rehearse();
      const [slow, other] = rehearsal.backends as Pair;
      exchange(rehearsal, slow, { ms: 300 });
      exchange(rehearsal, other, { ms: 200 });
      for (let count = 0; count < 100; count++) {
        const attempt = send(rehearsal, slow);
        rehearsal.nowMs += 5;
        finish(rehearsal, attempt, { outcome: "client_gone" });
      }
      expect(preferred(rehearsal)).toBe("second");
    });

    test("takes a backend that joins for about as fast as the others, not for 100 ms", () => {
      const rehearsal = rehearse(undefined, [1, 1, 1]);
      const [first, second, third] = rehearsal.backends as Three;
      exchange(rehearsal, first, { ms: 1900 });
      exchange(rehearsal, second, { ms: 2000 });
      exchange(rehearsal, third, { ms: 2100 });
      rehearsal.changePool(2, [1]);
      const joined = rehearsal.backends[2] as Backend;
      // Heard, but not measured: its own requests in flight count at the median of the others.
      const tunnel = send(rehearsal, joined);
      respond(rehearsal, tunnel, { status: 101, upgraded: true });
      const [, , picks = 0] = countPicks(rehearsal, 300);
      expect(picks).toBe(0);
    });

    test("hands what it knows to the next instance, as JSON, whatever that one's clock shows", () => {
      const first = rehearse();
      const [slow, fast] = first.backends as Pair;
      first.nowMs = 1_000_000;
      exchange(first, slow, { ms: 400 });
      exchange(first, fast, { ms: 100 });
      const text = JSON.stringify(first.host.takeSnapshot());
      const previous = { name: plugin.name, snapshot: JSON.parse(text) as unknown };
      const second = new Rehearsal({ plugin, weights: [1, 1], previous });
      expect(preferred(second)).toBe("second");
      expect(JSON.stringify(second.host.takeSnapshot())).toBe(text);
    });

    test("hands on for how long a backend is to be left alone", () => {
      const first = rehearse();
      const [asking, slow] = first.backends as Pair;
      exchange(first, asking, { ms: 0, status: 503, headers: { "retry-after": "100" } });
      first.nowMs += 40_000;
      exchange(first, slow, { ms: 0 });
      const snapshot = JSON.parse(JSON.stringify(first.host.takeSnapshot())) as unknown;
      const second = new Rehearsal({
        plugin,
        weights: [1, 1],
        previous: { name: plugin.name, snapshot },
      });
      second.nowMs = 55_000;
      exchange(second, second.backends[1] as Backend, { ms: 4900 });
      expect(preferred(second)).toBe("second");
      second.nowMs = 90_000;
      exchange(second, second.backends[1] as Backend, { ms: 4900 });
      expect(preferred(second)).toBe("first");
    });

    test("does not take another server of the same id for the one it knew", () => {
      const first = rehearse();
      const [slow, fast] = first.backends as Pair;
      exchange(first, slow, { ms: 4000 });
      exchange(first, fast, { ms: 100 });
      const text = JSON.stringify(first.host.takeSnapshot()).replace(slow.url, "http://elsewhere");
      const previous = { name: plugin.name, snapshot: JSON.parse(text) as unknown };
      expect(preferred(new Rehearsal({ plugin, weights: [1, 1], previous }))).toBe("first");
    });

    test("says what is wrong with its options, all at once", () => {
      const wrong: readonly (readonly [options: unknown, message: string])[] = [
        [
          { decay: 10 },
          `${plugin.name} rejects its options: decay: found 10, allowed a duration such as "10s", from 100ms to 24h, in ms, s, m or h`,
        ],
        [{ decay: "0s" }, 'decay: found "0s", allowed a duration such as "10s", from 100ms to 24h'],
        [{ penalty: "-1s" }, 'penalty: found "-1s", allowed a duration such as "5s", from 0ms'],
        [{ firstGuess: "99h" }, 'firstGuess: found "99h", allowed a duration such as "100ms"'],
        [{ tooManyRequests: true }, 'tooManyRequests: found true, allowed "failure" or "ignore"'],
        [
          { tau: "5s", penalty: 5 },
          "tau: no such option, allowed decay, penalty, maxRetryAfter, firstGuess, tooManyRequests; penalty: found 5",
        ],
        ["fast", 'found "fast", allowed an object with decay,'],
      ];
      for (const [options, message] of wrong) {
        expect(() => rehearse(options)).toThrow(message);
      }
    });
  });
}

describe("peak-ewma", () => {
  test("notices the first slow answer among many fast ones", () => {
    const rehearsal = new Rehearsal({ plugin: peakEwma, weights: [1, 1] });
    const [spoilt, steady] = rehearsal.backends as Pair;
    exchange(rehearsal, steady, { ms: 100 });
    const slow = send(rehearsal, spoilt);
    for (let count = 0; count < 50; count++) exchange(rehearsal, spoilt, { ms: 10 });
    expect(countPicks(rehearsal, 10)).toEqual([10, 0]);
    respond(rehearsal, slow);
    finish(rehearsal, slow, { status: 200 });
    expect(countPicks(rehearsal, 10)).toEqual([0, 10]);
  });
});

describe("least-time", () => {
  test("looks at all backends, not at two of them", () => {
    const rehearsal = new Rehearsal({ plugin: leastTime, weights: Array(10).fill(1) });
    for (const [index, backend] of rehearsal.backends.entries()) {
      exchange(rehearsal, backend, { ms: index === 7 ? 50 : 100 });
    }
    expect(countPicks(rehearsal, 50)[7]).toBe(50);
  });

  test("goes by the average: one slow answer of many does not spoil it", () => {
    const rehearsal = new Rehearsal({ plugin: leastTime, weights: [1, 1] });
    const [good, steady] = rehearsal.backends as Pair;
    for (let count = 0; count < 50; count++) exchange(rehearsal, good, { ms: 10 });
    // It took long, but the average goes by the time that has passed since the last answer.
    const slow = send(rehearsal, good);
    rehearsal.nowMs += 1000;
    exchange(rehearsal, good, { ms: 10 });
    respond(rehearsal, slow);
    finish(rehearsal, slow, { status: 200 });
    exchange(rehearsal, steady, { ms: 100 });
    expect(countPicks(rehearsal, 10)).toEqual([10, 0]);
  });

  test("takes idle backends that nothing is known of in turns, not in the order of the list", () => {
    const first = new Set<number>();
    for (let seed = 0; seed < 50; seed++) {
      const rehearsal = new Rehearsal({ plugin: leastTime, weights: [1, 1, 1, 1], seed });
      first.add(countPicks(rehearsal, 1).indexOf(1));
    }
    expect(first.size).toBe(4);
  });

  test("takes ties in turns while time passes within a pick", () => {
    // A real clock moves on from candidate to candidate, and what is known fades with it.
    const first = new Rehearsal({ plugin: leastTime, weights: [1, 1, 1, 1] });
    const attempts = first.backends.map((backend) => send(first, backend));
    first.nowMs = 50;
    for (const attempt of attempts) {
      respond(first, attempt);
      finish(first, attempt, { status: 200 });
    }
    const previous = { name: leastTime.name, snapshot: first.host.takeSnapshot() };
    const counts = [0, 0, 0, 0];
    for (let seed = 0; seed < 100; seed++) {
      const weights = [1, 1, 1, 1];
      const rehearsal = new Rehearsal({ plugin: leastTime, weights, seed, previous });
      let ticks = 0;
      Object.defineProperty(rehearsal, "nowMs", { get: () => ++ticks / 1000 });
      const place = countPicks(rehearsal, 1).indexOf(1);
      counts[place] = (counts[place] ?? 0) + 1;
    }
    expect(Math.min(...counts)).toBeGreaterThan(10);
  });
});
