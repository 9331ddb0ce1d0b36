import type { StrategyPlugin } from "../plugin.ts";
import type { History, PromiseName, Step, SuiteCase } from "../testing-api.ts";
import { BrokenPromise, findBreach } from "./promises.ts";
import { randomHistory } from "./random-history.ts";
import { shortestHistory } from "./shortest-history.ts";

/** A promise that a strategy broke, with the shortest history that shows it. */
export class BrokenCase extends Error {
  override readonly name = "BrokenCase";
  readonly promise: PromiseName;
  readonly history: History;
  /** What the strategy did, in a sentence. */
  readonly explanation: string;

  constructor(promise: PromiseName, history: History, breach: BrokenPromise) {
    super(`${breach.message}\nshortest history: ${JSON.stringify(history)}`, {
      cause: breach.cause,
    });
    this.promise = promise;
    this.history = history;
    this.explanation = breach.message;
  }
}

const RANDOM_HISTORIES = 50;
const PICKS_EACH = 200;

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
  function situation(
    name: string,
    promise: PromiseName,
    histories: () => Iterable<Partial<History> & Pick<History, "weights" | "steps">>,
  ): SuiteCase {
    return {
      name,
      run() {
        for (const given of histories()) {
          const history = { seed: 1, ...given, ...(options === undefined ? {} : { options }) };
          if (findBreach(promise, plugin, history) !== null) throw shortest(promise, history);
        }
      },
    };
  }

  function shortest(promise: PromiseName, history: History): BrokenCase {
    const breaks = (candidate: History): boolean => findBreach(promise, plugin, candidate) !== null;
    const found = shortestHistory(history, breaks);
    const breach = findBreach(promise, plugin, found);
    return new BrokenCase(promise, found, breach ?? new BrokenPromise("fails only now and then"));
  }

  return [
    ...[1, 2, 1000].map((size) =>
      situation(
        `answers when there ${size === 1 ? "is one candidate" : `are ${size} candidates`}`,
        "answers",
        () => [{ weights: equal(size), steps: traffic(100, size) }],
      ),
    ),
    situation("answers when weights are far apart", "answers", () => [
      { weights: [0.001, 1, 1_000_000], steps: traffic(100, 3) },
    ]),
    situation("answers when the candidates differ from pick to pick", "answers", () => [
      { weights: [1, 2, 3, 4], steps: subsets() },
    ]),
    situation("answers the second attempt, without the backend that failed", "answers", () =>
      [1, 2, 3].map((failed) => ({
        weights: equal(3),
        steps: [
          ["start", `backend-${failed}`],
          ["end", 0, "connect"],
          ["pick", { attempt: 2, without: [`backend-${failed}`] }],
        ],
      })),
    ),
    situation(
      "answers when every backend is ejected and requests are sent anyway",
      "answers",
      () => [
        {
          weights: equal(3),
          steps: Array.from({ length: 10 }, (): Step => ["pick", { failOpen: true }]),
        },
      ],
    ),
    situation("is told of attempts that it did not place", "answers", () => [
      {
        weights: equal(3),
        steps: [
          ...[1, 2, 3].flatMap((id): Step[] => [
            ["start", `backend-${id}`],
            ["end", 0, "reset"],
          ]),
          ...traffic(10, 3),
        ],
      },
    ]),
    situation(
      "survives backends that leave while their attempts run, and new ones",
      "answers",
      () => [{ weights: equal(4), steps: comingAndGoing() }],
    ),
    situation("survives backends that become unhealthy and healthy", "answers", () => [
      { weights: equal(2), steps: flapping() },
    ]),
    situation(
      `answers all of ${(RANDOM_HISTORIES * PICKS_EACH).toLocaleString("en")} picks of random histories`,
      "answers",
      randomHistories,
    ),
    situation("changes nothing that it is given", "readonly", () => [
      { weights: equal(3), steps: [...traffic(20, 3), ...flapping(), ...comingAndGoing()] },
      ...someHistories(),
    ]),
    situation("answers the same when clock and randomness are the same", "repeatable", () => [
      { weights: [1, 1, 2, 3], steps: traffic(200, 4) },
      ...someHistories(),
    ]),
    situation("keeps the state of two pools apart", "apart", () => [
      { weights: [1, 1, 2], steps: traffic(100, 3), seed: 5 },
      ...someHistories(),
    ]),
    situation("hands what it knows to the next instance, as JSON", "snapshot", () => [
      { weights: equal(3), steps: traffic(50, 3) },
      ...someHistories(),
    ]),
    situation("starts from nothing, whatever an older version of it left", "answers", () =>
      [null, 0, "", [], {}, { version: 99 }].map((previous) => ({
        weights: equal(3),
        steps: traffic(20, 3),
        previous,
      })),
    ),
    situation("may be disposed of twice", "dispose", () => [
      { weights: equal(2), steps: traffic(10, 2) },
    ]),
  ];
}

function equal(size: number): number[] {
  return Array.from({ length: size }, () => 1);
}

const ENDS = [
  "ok",
  "ok",
  "connect",
  "ok",
  "reset",
  "timeout",
  "ok",
  "truncated",
  "invalid",
] as const;

/** About one request in flight per backend, and every way of ending. */
function traffic(picks: number, backends: number): Step[] {
  const steps: Step[] = [];
  for (let index = 0; index < picks; index++) {
    steps.push(["wait", 7], ["pick"]);
    if (index >= backends) steps.push(["end", 0, ENDS[index % ENDS.length] ?? "ok"]);
  }
  for (let left = Math.min(picks, backends); left > 0; left--)
    steps.push(["end", 0, "client_gone"]);
  return steps;
}

/** Each possible set of four candidates, between picks from all. */
function subsets(): Step[] {
  const ids = [1, 2, 3, 4].map((id) => `backend-${id}`);
  return Array.from({ length: 15 }, (_, missing) =>
    ids.filter((_, index) => missing & (1 << index)),
  ).flatMap((without): Step[] => [["pick", { without }], ["pick"]]);
}

function comingAndGoing(): Step[] {
  const starts = [1, 2, 3, 4].map((id): Step => ["start", `backend-${id}`]);
  const leaves = [2, 3, 4].map((id): Step => ["leave", `backend-${id}`]);
  const joins = [1, 1, 1].map((weight): Step => ["join", weight]);
  const ends = starts.map((): Step => ["end", 0, "ok"]);
  return [...starts, ...leaves, ...joins, ...picks(20), ...ends, ...traffic(20, 4)];
}

function flapping(): Step[] {
  return ["backend-1", "backend-2"].flatMap((id): Step[] => [
    ["health", id, "unhealthy"],
    ...picks(5),
    ["health", id, "healthy"],
    ...picks(5),
  ]);
}

function picks(count: number): Step[] {
  return Array.from({ length: count }, (): Step => ["pick"]);
}

function* randomHistories(): Generator<History> {
  for (let seed = 1; seed <= RANDOM_HISTORIES; seed++) yield randomHistory(seed, PICKS_EACH);
}

/** Of the promises that look at more than faults. */
function someHistories(): History[] {
  return [1, 2, 3, 4, 5].map((seed) => randomHistory(seed, 60));
}
