import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type CensusCells,
  type CountedConnection,
  censusLength,
  ConnectionCensus,
} from "../../src/pool/connection-census.ts";

const KEY = "key";
const places = new ConnectionCensus(new Int32Array(censusLength(1)), 1, KEY);

function at(address: string): CensusCells {
  return places.cellsOf(address);
}

function census(...workers: Record<string, number>[]): ConnectionCensus {
  const created = new ConnectionCensus(
    new Int32Array(censusLength(workers.length)),
    workers.length,
    KEY,
  );
  for (const [worker, counts] of workers.entries()) {
    created.publish(worker, idle(counts));
  }
  return created;
}

/** That many connections of each address, without a request. */
function idle(counts: Record<string, number>): CountedConnection[] {
  return Object.entries(counts).flatMap(([address, count]) =>
    Array.from({ length: count }, () => ({ cells: at(address), busy: false })),
  );
}

describe("a census of connections", () => {
  test("sums what the workers have, in total and per address", () => {
    const both = census({ "10.0.0.1": 3, "10.0.0.2": 1 }, { "10.0.0.1": 2 });
    expect(both.connections).toBe(6);
    expect(both.connectionsOf(at("10.0.0.1"))).toBe(5);
    expect(both.connectionsOf(at("10.0.0.2"))).toBe(1);
    expect(both.connectionsOf(at("10.0.0.3"))).toBe(0);
  });

  test("what a worker publishes takes the place of what it published before", () => {
    const both = census({ "10.0.0.1": 3 }, { "10.0.0.1": 2 });
    both.publish(0, idle({ "10.0.0.2": 4 }));
    expect(both.connectionsOf(at("10.0.0.1"))).toBe(2);
    expect(both.connections).toBe(6);
  });

  test("a dead worker's connections and descriptors are gone", () => {
    const both = census({ "10.0.0.1": 3 }, { "10.0.0.1": 2 });
    both.setDescriptors(0, 40);
    both.setDescriptors(1, 30);
    expect(both.descriptors).toBe(70);
    both.returnShare(0);
    expect([both.descriptors, both.connections, both.connectionsOf(at("10.0.0.1"))]).toEqual([
      30, 2, 2,
    ]);
  });

  test.each([
    [1000, 1, 1],
    [10_000, 1200, 5],
  ])(
    "%d addresses with one each: at most %d are counted higher, none above %d",
    (count, wrong, most) => {
      const addresses = Array.from({ length: count }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
      const one = census(Object.fromEntries(addresses.map((address) => [address, 1])));
      const counted = addresses.map((address) => one.connectionsOf(at(address)));
      expect(Math.min(...counted)).toBe(1);
      expect(Math.max(...counted)).toBeLessThanOrEqual(most);
      expect(counted.filter((each) => each > 1).length).toBeLessThanOrEqual(wrong);
    },
  );

  test("which addresses are counted together depends on the key", () => {
    const other = new ConnectionCensus(new Int32Array(censusLength(1)), 1, "other key");
    expect(other.cellsOf("10.0.0.1")).not.toEqual(at("10.0.0.1"));
  });

  test("memory that is too short is refused", () => {
    expect(() => new ConnectionCensus(new Int32Array(censusLength(2) - 1), 2, KEY)).toThrow(
      RangeError,
    );
  });
});

describe("the workers' shares of an excess", () => {
  test("add up to exactly what is above the limit", () => {
    const counts = fc.array(fc.nat(40), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(counts, fc.nat(100), (perWorker, max) => {
        const all = census(...perWorker.map((count) => ({ "10.0.0.1": count })));
        const total = perWorker.reduce((sum, count) => sum + count, 0);
        const shares = perWorker.map((_, worker) => all.excessOf(at("10.0.0.1"), worker, max));
        expect(shares.reduce((sum, share) => sum + share, 0)).toBe(Math.max(0, total - max));
        expect(perWorker.map((_, worker) => all.excess(worker, max))).toEqual(shares);
        for (const [worker, share] of shares.entries()) {
          expect(share).toBeLessThanOrEqual(perWorker[worker] ?? 0);
        }
      }),
      { seed: 20_261_122 },
    );
  });

  test("take the idle connections first, wherever they are", () => {
    const both = census({}, { "10.0.0.1": 10 });
    both.publish(
      0,
      Array.from({ length: 12 }, () => ({ cells: at("10.0.0.1"), busy: true })),
    );
    expect([both.excess(0, 14), both.excess(1, 14)]).toEqual([0, 8]);
    expect([both.excessOf(at("10.0.0.1"), 0, 9), both.excessOf(at("10.0.0.1"), 1, 9)]).toEqual([
      3, 10,
    ]);
  });
});
