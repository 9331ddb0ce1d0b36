import { expect, test } from "bun:test";
import { RuntimeError } from "../../src/errors.ts";
import { Recycling } from "../../src/process/recycling.ts";
import { RecordedLog } from "../_support/recorded-log.ts";

const STRATEGIES = { generation: 1, strategies: {} } as never;

/** Three places; the second one holds too many modules. Each replacement waits to be let go on. */
function stage() {
  const log = new RecordedLog();
  const replaced: number[] = [];
  const waiting: PromiseWithResolvers<void>[] = [];
  const places = [0, 1, 2].map((index) => ({
    index,
    worker: { modules: { count: 9, superseded: () => (index === 1 ? 1e9 : 0) } as never },
  }));
  const recycling = new Recycling({
    places: () => places,
    outgrown: () => false,
    replace: async ({ index }) => {
      const step = Promise.withResolvers<void>();
      waiting.push(step);
      await step.promise;
      replaced.push(index);
    },
    log,
  });
  /** Lets the next replacement go on, or fail. */
  const next = async (error?: Error): Promise<void> => {
    while (waiting.length === 0) await Promise.resolve();
    const step = waiting.shift();
    if (error === undefined) step?.resolve();
    else step?.reject(error);
  };
  return { recycling, replaced, next, log, places };
}

test("whoever asks for all while the full ones are replaced gets all of them new", async () => {
  const { recycling, replaced, next } = stage();
  recycling.recycleFull(STRATEGIES);
  const all = recycling.recycle();
  for (let step = 0; step < 4; step++) await next();
  await all;
  expect(replaced).toEqual([1, 0, 1, 2]);
});

test("whoever asks while all are replaced gets the same outcome", async () => {
  const { recycling, replaced, next } = stage();
  const first = recycling.recycle();
  const second = recycling.recycle();
  for (let step = 0; step < 3; step++) await next();
  await Promise.all([first, second]);
  expect(replaced).toEqual([0, 1, 2]);
});

test("a full one that cannot be replaced is told in the log, and all can be asked for afterwards", async () => {
  const { recycling, replaced, next, log } = stage();
  recycling.recycleFull(STRATEGIES);
  await next(new RuntimeError("no room"));
  const all = recycling.recycle();
  for (let step = 0; step < 3; step++) await next();
  await all;
  expect(replaced).toEqual([0, 1, 2]);
  expect(log.lines.map(({ message }) => message)).toContain("recycling ended early");
});

test("one that is asked for by name comes after what is under way, and not when it was replaced by that", async () => {
  const { recycling, replaced, next, places } = stage();
  const all = recycling.recycle();
  const [first, second] = places;
  if (first === undefined || second === undefined) throw new Error("there are three");
  recycling.recycleOne(first);
  recycling.recycleOne(second);
  second.worker = { ...second.worker };
  for (let step = 0; step < 4; step++) await next();
  await all;
  const after = recycling.recycle();
  for (let step = 0; step < 3; step++) await next();
  await after;
  expect(replaced).toEqual([0, 1, 2, 0, 0, 1, 2]);
});
