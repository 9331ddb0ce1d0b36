import type { Backend, StrategyPlugin } from "../plugin.ts";
import { Rehearsal } from "./rehearsal.ts";

/** One promise that every strategy keeps. */
export interface SuiteCase {
  /** A situation in plain words. */
  readonly name: string;
  /** Throws an Error that says what the strategy did. */
  run(): void;
}

/**
 * What every strategy must survive and keep, for any test runner:
 *
 *     for (const { name, run } of strategySuite(plugin, options)) test(name, run);
 *
 * Whether a strategy spreads load well is its own test's business.
 */
export function strategySuite(
  plugin: StrategyPlugin<unknown>,
  options?: unknown,
): readonly SuiteCase[] {
  function rehearse(weights: readonly number[], seed = 1): Rehearsal {
    return new Rehearsal({ plugin, options, weights, seed });
  }

  return [
    ...[1, 2, 10, 1000].map((size) => ({
      name: `answers when there ${size === 1 ? "is one candidate" : `are ${size} candidates`}`,
      run() {
        const rehearsal = rehearse(equal(size));
        rehearsal.run(100);
        expectNoFault(rehearsal);
      },
    })),
    {
      name: "answers when weights are far apart",
      run() {
        const rehearsal = rehearse([0.001, 1, 1_000_000]);
        rehearsal.run(100);
        expectNoFault(rehearsal);
      },
    },
    {
      name: "answers when the candidates differ from pick to pick",
      run() {
        const rehearsal = rehearse([1, 2, 3, 4]);
        for (let subset = 1; subset < 16; subset++) {
          rehearsal.pick(rehearsal.backends.filter((_, index) => subset & (1 << index)));
          rehearsal.pick();
        }
        expectNoFault(rehearsal);
      },
    },
    {
      name: "answers the second attempt, without the backend that failed",
      run() {
        const rehearsal = rehearse(equal(3));
        const first = rehearsal.pick().backend;
        if (first !== null) rehearsal.end(rehearsal.start(first), "connect");
        rehearsal.pick(without(rehearsal.backends, first), { attempt: 2 });
        expectNoFault(rehearsal);
      },
    },
    {
      name: "answers when every backend is ejected and requests are sent anyway",
      run() {
        const rehearsal = rehearse(equal(3));
        for (let index = 0; index < 10; index++)
          rehearsal.pick(rehearsal.backends, { failOpen: true });
        expectNoFault(rehearsal);
      },
    },
    {
      name: "is told of attempts that it did not place",
      run() {
        const rehearsal = rehearse(equal(3));
        for (const backend of rehearsal.backends) rehearsal.end(rehearsal.start(backend), "reset");
        rehearsal.run(10);
        expectNoFault(rehearsal);
      },
    },
    {
      name: "survives backends that leave while their attempts run, and new ones",
      run() {
        const rehearsal = rehearse(equal(4));
        const attempts = rehearsal.backends.map((backend) => rehearsal.start(backend));
        rehearsal.changePool(1, equal(3));
        rehearsal.run(20);
        for (const attempt of attempts) rehearsal.end(attempt);
        rehearsal.run(20);
        expectNoFault(rehearsal);
      },
    },
    {
      name: "survives backends that become unhealthy and healthy",
      run() {
        const rehearsal = rehearse(equal(2));
        for (const backend of rehearsal.backends) {
          rehearsal.host.healthChanged(backend, "unknown", "unhealthy");
          rehearsal.run(5);
          rehearsal.host.healthChanged(backend, "unhealthy", "healthy");
        }
        rehearsal.run(10);
        expectNoFault(rehearsal);
      },
    },
    {
      name: "answers the same when clock and randomness are the same",
      run() {
        expectEqual(
          rehearse([1, 1, 2, 3]).run(200),
          rehearse([1, 1, 2, 3]).run(200),
          "two runs with the same clock and randomness differ: take both from env, not from Date or Math",
        );
      },
    },
    {
      name: "keeps the state of two pools apart",
      run() {
        const alone = rehearse([1, 1, 2], 5);
        const expected = [...alone.run(50), ...alone.run(50)];
        const beside = rehearse([1, 1, 2], 5);
        const other = rehearse([3, 1], 6);
        const found = [...beside.run(50)];
        other.run(50);
        found.push(...beside.run(50));
        expectEqual(
          found,
          expected,
          "a second instance changes the picks of the first: keep state in create",
        );
      },
    },
    {
      name: "hands what it knows to the next instance",
      run() {
        const first = rehearse(equal(3));
        first.run(50);
        const snapshot = first.host.takeSnapshot();
        first.host.dispose();
        expectNoFault(first);
        const previous = { name: plugin.name, snapshot };
        const second = new Rehearsal({ plugin, options, weights: equal(3), previous });
        second.run(50);
        expectNoFault(second);
      },
    },
    {
      name: "starts from nothing, whatever an older version of it left",
      run() {
        for (const snapshot of [null, 0, "", [], {}, { version: 99 }]) {
          const previous = { name: plugin.name, snapshot };
          const rehearsal = new Rehearsal({ plugin, options, weights: equal(3), previous });
          rehearsal.run(20);
          expectNoFault(rehearsal);
        }
      },
    },
  ];
}

function equal(size: number): number[] {
  return Array.from({ length: size }, () => 1);
}

function without(backends: readonly Backend[], one: Backend | null): readonly Backend[] {
  return backends.filter((backend) => backend !== one);
}

function expectNoFault(rehearsal: Rehearsal): void {
  const fault = rehearsal.faults[0];
  if (fault === undefined) return;
  throw new Error(`${rehearsal.faults.length} faults, the first: ${fault.message}`, {
    cause: fault.cause,
  });
}

function expectEqual(found: readonly string[], expected: readonly string[], message: string): void {
  const index = expected.findIndex((id, at) => found[at] !== id);
  if (index === -1 && found.length === expected.length) return;
  throw new Error(`${message} (pick ${index + 1}: ${expected[index]}, then ${found[index]})`);
}
