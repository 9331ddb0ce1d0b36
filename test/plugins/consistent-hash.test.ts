import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import consistentHash from "../../plugins/consistent-hash.ts";
import { type Place, Rendezvous } from "../../plugins/rendezvous.ts";
import type { RequestInfo } from "../../src/plugin.ts";
import { Rehearsal } from "../../src/strategy/rehearsal.ts";
import { strategySuite } from "../../src/strategy/suite.ts";
import { strangeness } from "../_support/chi-square.ts";
import { countPicks, requestWith, send } from "../_support/rehearsed-exchange.ts";

const plugin = consistentHash;
const SEED = 20_160_803;

for (const options of [undefined, { key: { cookie: "session" }, bound: 1 }, { bound: false }]) {
  describe(`consistent-hash with ${JSON.stringify(options) ?? "no options"}`, () => {
    for (const { name, run } of strategySuite(plugin, options)) test(name, run);
  });
}

function from(clientAddress: string): RequestInfo {
  return requestWith({ clientAddress });
}

function placesOf(weights: readonly number[], loads: readonly number[] = []): Place[] {
  return weights.map((weight, index) => ({
    id: `10.0.0.${index}:3000`,
    weight,
    inFlight: loads[index] ?? 0,
  }));
}

/** Where each of many keys goes. */
function map(places: readonly Place[], keys: number, bound = 1.25): (string | undefined)[] {
  const rendezvous = new Rendezvous<Place>(bound);
  return Array.from({ length: keys }, (_, key) => rendezvous.pick(places, `user-${key}`)?.id);
}

const weightsArbitrary = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 12 });

describe("keys among idle backends", () => {
  test("are shared by weight", () => {
    for (const weights of [
      [1, 1],
      [1, 1, 1, 1, 1, 1, 1],
      [1, 2, 3, 4],
      [0.1, 0.3, 2.6],
    ]) {
      const places = placesOf(weights);
      const found = map(places, 40_000);
      const counts = places.map(({ id }) => found.filter((one) => one === id).length);
      expect(strangeness(counts, weights)).toBeLessThan(1);
    }
  });

  test("of a backend that leaves go to the others by weight, and all others stay", () => {
    fc.assert(
      fc.property(weightsArbitrary, fc.nat(), (weights, pick) => {
        const places = placesOf(weights);
        const left = places[pick % places.length] as Place;
        const before = map(places, 300);
        const after = map(
          places.filter((place) => place !== left),
          300,
        );
        for (const [key, id] of before.entries()) {
          if (id === left.id) expect(after[key]).not.toBe(id);
          else expect(after[key]).toBe(id);
        }
      }),
      { seed: SEED },
    );
    const places = placesOf([2, 1, 2, 3]);
    const before = map(places, 60_000);
    const after = map(places.slice(1), 60_000);
    const moved = after.filter((_, key) => before[key] === places[0]?.id);
    const counts = places.slice(1).map(({ id }) => moved.filter((one) => one === id).length);
    expect(strangeness(counts, [1, 2, 3])).toBeLessThan(1);
  });

  test("move only to a backend that joins, or whose weight grows", () => {
    fc.assert(
      fc.property(weightsArbitrary, fc.nat(), (weights, pick) => {
        const places = placesOf(weights);
        const grown = pick % places.length;
        const other = places.map((place, index) =>
          index === grown ? { ...place, weight: place.weight * 2 } : place,
        );
        const before = map(places, 300);
        for (const [key, id] of map(other, 300).entries()) {
          if (id !== before[key]) expect(id).toBe(places[grown]?.id);
        }
      }),
      { seed: SEED },
    );
  });

  test("go to the same backend whatever the order of the list", () => {
    const places = placesOf([1, 2, 3, 1, 2]);
    expect(map(places.toReversed(), 1000)).toEqual(map(places, 1000));
  });

  test("go where they went in the version before", () => {
    // Changing the hash moves every session of everybody who upgrades.
    const rendezvous = new Rendezvous<Place>(1.25);
    const places = placesOf([1, 1, 1, 1, 1, 1, 1, 1]);
    const found = ["ann", "bob", "Jörg", "10.0.0.1", "/index.html"].map(
      (key) => rendezvous.pick(places, key)?.id,
    );
    expect(found).toEqual([
      "10.0.0.5:3000",
      "10.0.0.3:3000",
      "10.0.0.3:3000",
      "10.0.0.7:3000",
      "10.0.0.7:3000",
    ]);
  });
});

describe("a bound", () => {
  test("is never passed, and somebody is always below it", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ weight: fc.integer({ min: 1, max: 9 }), inFlight: fc.nat({ max: 50 }) }),
          { minLength: 1, maxLength: 12 },
        ),
        fc.constantFrom(1, 1.25, 2),
        fc.string(),
        (loads, bound, key) => {
          const places = placesOf(
            loads.map(({ weight }) => weight),
            loads.map(({ inFlight }) => inFlight),
          );
          const found = new Rendezvous<Place>(bound).pick(places, key);
          if (found === null) throw new Error("expected a place");
          const all = loads.reduce((sum, { inFlight }) => sum + inFlight, 1);
          const weight = loads.reduce((sum, one) => sum + one.weight, 0);
          // Whole numbers, in quarters, so that nothing is rounded but the bound itself.
          const limit = Math.ceil((bound * 4 * all * found.weight) / (weight * 4));
          expect(found.inFlight + 1).toBeLessThanOrEqual(limit);
        },
      ),
      { seed: SEED, numRuns: 2000 },
    );
  });

  test("holds over a whole history of requests that all have one key", () => {
    const rehearsal = new Rehearsal({ plugin, weights: [1, 1, 2] });
    const peaks: number[] = [];
    for (let sent = 1; sent <= 400; sent++) {
      const { backend } = rehearsal.pick(rehearsal.backends, { request: from("192.0.2.1") });
      if (backend === null) throw new Error("expected an answer");
      send(rehearsal, backend);
      peaks.push(backend.inFlight / Math.ceil((1.25 * sent * backend.weight) / 4));
    }
    expect(Math.max(...peaks)).toBeLessThanOrEqual(1);
    // The key's own backend has all that it may have.
    const shares = rehearsal.backends.map(({ inFlight, weight }) => inFlight / weight);
    expect(Math.max(...shares)).toBe(125);
  });

  test("moves the keys of a full backend, each to the next of its own, and no others", () => {
    const places = placesOf([1, 1, 1, 1]);
    const before = map(places, 20_000);
    const busy = placesOf([1, 1, 1, 1], [8, 4, 4, 4]);
    const after = map(busy, 20_000);
    const [full, ...others] = places.map(({ id }) => id);
    const moved = after.filter((id, key) => id !== before[key]);
    expect(moved.length).toBe(before.filter((id) => id === full).length);
    const counts = others.map((other) => moved.filter((id) => id === other).length);
    expect(strangeness(counts, [1, 1, 1])).toBeLessThan(1);
  });

  test("of false is none: one key fills one backend", () => {
    const rehearsal = new Rehearsal({ plugin, options: { bound: false }, weights: [1, 1, 1] });
    for (let sent = 0; sent < 50; sent++) {
      const { backend } = rehearsal.pick(rehearsal.backends, { request: from("192.0.2.1") });
      if (backend !== null) send(rehearsal, backend);
    }
    expect(rehearsal.backends.map(({ inFlight }) => inFlight).toSorted()).toEqual([0, 0, 50]);
  });
});

describe("consistent-hash", () => {
  test("sends the same key to the same backend in every worker", () => {
    const picks = [1, 2, 3].map((seed) => {
      const rehearsal = new Rehearsal({ plugin, weights: [1, 1, 1, 1], seed });
      return Array.from(
        { length: 200 },
        (_, n) => rehearsal.pick(rehearsal.backends, { request: from(`192.0.2.${n}`) }).backend?.id,
      );
    });
    expect(picks[1]).toEqual(picks[0]);
    expect(picks[2]).toEqual(picks[0]);
    expect(new Set(picks[0]).size).toBe(4);
  });

  test("sends a second attempt to where the key would go without the first", () => {
    const rehearsal = new Rehearsal({ plugin, weights: [1, 1, 1, 1] });
    for (let n = 0; n < 50; n++) {
      const request = from(`192.0.2.${n}`);
      const first = rehearsal.pick(rehearsal.backends, { request }).backend;
      const rest = rehearsal.backends.filter((backend) => backend !== first);
      const second = rehearsal.pick(rest, { request, attempt: 2 }).backend;
      expect(rest.some((backend) => backend === second)).toBe(true);
      expect(rehearsal.pick(rest, { request }).backend).toBe(second);
    }
  });

  test("spreads requests without the key by requests in flight and weight", () => {
    const rehearsal = new Rehearsal({
      plugin,
      options: { key: { header: "X-User" } },
      weights: [1, 1, 2],
    });
    const counts = countPicks(rehearsal, 8000, requestWith());
    expect(strangeness(counts, [1, 1, 2])).toBeLessThan(1);
    send(rehearsal, rehearsal.backends[2] as (typeof rehearsal.backends)[number]);
    expect(countPicks(rehearsal, 100, requestWith())[2]).toBe(0);
  });

  test("says what is wrong with its options", () => {
    const wrong: readonly (readonly [options: unknown, message: string])[] = [
      [
        { bound: 0.9 },
        "consistent-hash rejects its options: bound: found 0.9, allowed a number from 1 to 100, or false for no bound",
      ],
      [{ bound: true }, "bound: found true, allowed a number from 1 to 100, or false"],
      [{ bound: null }, "bound: found null, allowed a number from 1 to 100, or false"],
      [{ key: "ip" }, 'key: found "ip", allowed "client-address", "path", { header: "X-User" }'],
      [{ hash: "path" }, "hash: no such option, allowed key, bound"],
    ];
    for (const [options, message] of wrong) {
      expect(() => new Rehearsal({ plugin, options, weights: [1] })).toThrow(message);
    }
  });
});
