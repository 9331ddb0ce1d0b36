/** What failures cost with the strategies that go by response times, where there is no end of them. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { LatencySnapshot } from "../../plugins/latency-snapshot.ts";
import leastTime from "../../plugins/least-time.ts";
import peakEwma from "../../plugins/peak-ewma.ts";
import type { Attempt, Backend } from "../../src/plugin.ts";
import { Rehearsal } from "../../src/strategy/rehearsal.ts";
import { exchange, finish, respond, send } from "../_support/rehearsed-exchange.ts";
import { runTraffic } from "../_support/rehearsed-traffic.ts";

const SEED = 20_261_123;
const PENALTY_MS = 5000;
const FIRST_GUESS_MS = 100;
const FAILURE_FACTOR = 10;

/** As the next instance would get it. Infinity would come back as null. */
function known(rehearsal: Rehearsal): LatencySnapshot {
  return JSON.parse(JSON.stringify(rehearsal.host.takeSnapshot())) as LatencySnapshot;
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("start" as const), place: fc.nat(3) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("answer" as const), which: fc.nat(9) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("fail" as const),
      which: fc.nat(9),
      how: fc.constantFrom("status", "connect", "truncated", "retry-after"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("give up" as const), which: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("swap" as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      ms: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 20_000 })),
    }),
  },
);

for (const plugin of [peakEwma, leastTime]) {
  describe(plugin.name, () => {
    test("refuses nothing while every backend fails 2 % for an hour, and no penalty makes another", () => {
      // Each was ten times the last one of the others: after a minute estimates were at 10^15 ms, after half an
      // hour at Infinity, where least-time had nobody left.
      const rehearsal = new Rehearsal({ plugin, weights: [1, 1, 1], seed: 1 });
      let failures = 0;
      let answers = 0;
      runTraffic(rehearsal, {
        ratePerSecond: 10,
        seconds: 3600,
        seed: 1,
        serve: (_, __, random) => ({ ms: 10, status: random() < 0.02 ? 500 : 200 }),
        onAnswer({ status }) {
          if (status !== 200) failures++;
          if (++answers % 200 !== 0) return;
          const { backends } = known(rehearsal);
          expect(backends.length).toBe(3);
          for (const { ms } of backends) expect(ms).toBeLessThan(FAILURE_FACTOR * PENALTY_MS);
        },
      });
      expect(rehearsal.faults).toEqual([]);
      expect(failures).toBeGreaterThan(500);
    });

    test("still sees that a backend has become slow when all of them failed a little before", () => {
      const rehearsal = new Rehearsal({ plugin, weights: [1, 1, 1], seed: 3 });
      const failingMs = 120_000;
      let slow = 0;
      let all = 0;
      runTraffic(rehearsal, {
        ratePerSecond: 100,
        seconds: 180,
        seed: 3,
        serve(place, atMs, random) {
          if (atMs < failingMs) return { ms: 10, status: random() < 0.02 ? 500 : 200 };
          all++;
          if (place === 0) slow++;
          return { ms: place === 0 ? 300 : 10, status: 200 };
        },
        onAnswer() {},
      });
      // It has what there was of penalties in common with the others, and 30 times their response time.
      expect(slow / all).toBeLessThan(0.1);
    });

    for (const usualMs of [100, 1000]) {
      test(`keeps off a backend that does nothing but fail where all fail now and then, at ${usualMs} ms`, () => {
        // Measured by answers alone its penalty was that of all others, and with nothing in flight it got up to 90 %.
        const rehearsal = new Rehearsal({ plugin, weights: Array(10).fill(1), seed: 1 });
        let dead = 0;
        let all = 0;
        runTraffic(rehearsal, {
          ratePerSecond: 600,
          seconds: 40,
          seed: 1,
          serve(place, atMs, random) {
            const isDead = place === 4 && atMs >= 10_000;
            if (atMs >= 10_000) all++;
            if (isDead) dead++;
            return isDead
              ? { ms: 1, status: 503 }
              : { ms: -usualMs * Math.log(1 - random()), status: random() < 0.02 ? 500 : 200 };
          },
          onAnswer() {},
        });
        expect((100 * dead) / all).toBeLessThan(1);
      });
    }

    test("gives a backend that joins one request at a time where the others have penalties", () => {
      const rehearsal = new Rehearsal({ plugin, weights: [1, 1] });
      for (const backend of rehearsal.backends) {
        exchange(rehearsal, backend, { ms: 10 });
        exchange(rehearsal, backend, { ms: 10, status: 500 });
        exchange(rehearsal, backend, { ms: 10 });
      }
      rehearsal.changePool(2, [1]);
      const joined = rehearsal.backends[2] as Backend;
      send(rehearsal, joined);
      rehearsal.nowMs += 200;
      for (let count = 0; count < 3; count++) {
        for (let pick = 0; pick < 20; pick++) expect(rehearsal.pick().backend).not.toBe(joined);
        for (const backend of rehearsal.backends.slice(0, 2)) send(rehearsal, backend);
      }
    });

    test("knows no estimate above ten times the slowest answer, whatever happens in whatever order", () => {
      fc.assert(
        fc.property(fc.array(step, { minLength: 1, maxLength: 120 }), (steps) => {
          let rehearsal = new Rehearsal({ plugin, weights: [1, 1, 1, 1] });
          let running: Attempt[] = [];
          let slowestMs = FIRST_GUESS_MS;
          let mostInFlight = 0;
          const take = (which: number): Attempt | undefined =>
            running.splice(which % Math.max(1, running.length), 1)[0];
          for (const each of steps) {
            if (each.do === "wait") rehearsal.nowMs += each.ms;
            else if (each.do === "start") {
              const backend = rehearsal.backends[each.place] as Backend;
              running.push(send(rehearsal, backend));
              mostInFlight = Math.max(mostInFlight, backend.inFlight);
            } else if (each.do === "swap") {
              const previous = { name: plugin.name, snapshot: known(rehearsal) };
              rehearsal = new Rehearsal({ plugin, weights: [1, 1, 1, 1], previous });
              running = [];
            } else {
              const attempt = take(each.which);
              if (attempt === undefined) continue;
              const tookMs = rehearsal.nowMs - attempt.startedAt;
              if (each.do === "answer") {
                slowestMs = Math.max(slowestMs, tookMs);
                respond(rehearsal, attempt);
                finish(rehearsal, attempt, { status: 200 });
              } else if (each.do === "give up") {
                slowestMs = Math.max(slowestMs, tookMs);
                finish(rehearsal, attempt, { outcome: "client_gone" });
              } else if (each.how === "connect") {
                finish(rehearsal, attempt, { outcome: "connect" });
              } else if (each.how === "truncated") {
                slowestMs = Math.max(slowestMs, tookMs);
                respond(rehearsal, attempt);
                finish(rehearsal, attempt, { outcome: "truncated", status: 200 });
              } else {
                const headers = each.how === "status" ? {} : { "retry-after": "20" };
                respond(rehearsal, attempt, { status: 503, headers });
                finish(rehearsal, attempt, { status: 503 });
              }
            }
            const most = FAILURE_FACTOR * slowestMs * (mostInFlight + 1);
            const mostMs = Math.max(PENALTY_MS, most);
            for (const { ms, answeredMs, failingMs } of known(rehearsal).backends) {
              expect(ms).toBeGreaterThan(0);
              expect(ms).toBeLessThanOrEqual(mostMs);
              expect(answeredMs ?? 0).toBeLessThanOrEqual(slowestMs);
              // Ten times what those cost that fail now and then.
              expect(failingMs ?? 0).toBeLessThanOrEqual(
                FAILURE_FACTOR * mostMs * (mostInFlight + 1),
              );
            }
            expect(rehearsal.pick().backend).not.toBe(null);
          }
          expect(rehearsal.faults).toEqual([]);
        }),
        { seed: SEED, numRuns: 500 },
      );
    });

    describe("what it hands to the next instance", () => {
      function next(snapshot: unknown): Rehearsal {
        return new Rehearsal({
          plugin,
          weights: [1, 1],
          previous: { name: plugin.name, snapshot },
        });
      }

      test("is what a backend's answers took, apart from its failures", () => {
        const first = new Rehearsal({ plugin, weights: [1, 1] });
        const [failed] = first.backends as [Backend];
        exchange(first, failed, { ms: 10 });
        exchange(first, failed, { ms: 10, status: 500 });
        exchange(first, failed, { ms: 10 });
        const second = next(known(first));
        expect(known(second)).toEqual(known(first));
        exchange(second, second.backends[1] as Backend, { ms: 10, status: 500 });
        // Taken for an answer, the penalty of one made ten times that of the other.
        const [, other] = known(second).backends;
        expect(other?.ms).toBe(PENALTY_MS);
      });

      test("is that the last thing that a backend did was to fail", () => {
        const first = new Rehearsal({ plugin, weights: [1, 1] });
        const [dead, failed] = first.backends as [Backend, Backend];
        exchange(first, failed, { ms: 10, status: 500 });
        exchange(first, failed, { ms: 10 });
        for (let count = 0; count < 3; count++) {
          first.nowMs += 200;
          exchange(first, dead, { ms: 1, status: 500 });
        }
        const second = next(known(first));
        expect(known(second)).toEqual(known(first));
        for (let count = 0; count < 4; count++) send(second, second.backends[1] as Backend);
        for (let count = 0; count < 20; count++) {
          expect(second.pick().backend).toBe(second.backends[1] as Backend);
        }
      });

      test("may be of before answers were told from failures", () => {
        const { backends } = new Rehearsal({ plugin, weights: [1, 1] });
        const old = backends.map(({ id, url }, index) => {
          return { id, url, ms: index === 0 ? 900 : 100, heardMs: 0, heldMs: 0 };
        });
        const second = next({ version: 1, backends: old });
        for (let count = 0; count < 20; count++) {
          expect(second.pick().backend).toBe(second.backends[1] as Backend);
        }
        expect(known(second).backends.map(({ ms }) => ms)).toEqual([900, 100]);
        // Whether those were answers is not known, so they make no penalty: ten times 900 ms would.
        exchange(second, second.backends[1] as Backend, { ms: 0, status: 500 });
        expect(known(second).backends[1]?.ms).toBe(PENALTY_MS);
      });

      test("counts as nothing where it makes no sense", () => {
        const [backend] = new Rehearsal({ plugin, weights: [1, 1] }).backends as [Backend];
        const good = { id: backend.id, url: backend.url, ms: 5, heardMs: 0, heldMs: 0 };
        expect(known(next({ version: 1, backends: [good] })).backends.length).toBe(1);
        for (const wrong of [{ answeredMs: -1 }, { answeredMs: "1" }, { failingMs: Infinity }]) {
          const snapshot = { version: 1, backends: [{ ...good, ...wrong }] };
          expect(known(next(snapshot)).backends).toEqual([]);
        }
      });
    });
  });
}
