import { describeValue } from "../config/describe.ts";
import { ConfigError } from "../errors.ts";
import type { Strategy, StrategyEnv, StrategyPlugin } from "../plugin.ts";
import { withSurroundings } from "./altered-globals.ts";
import type { StrategyFault } from "./fault.ts";
import { faultOf } from "./fault.ts";
import type { History, PromiseName } from "../testing-api.ts";
import { Replay } from "./history.ts";
import { jsonLoss } from "./json-loss.ts";

type Verify = (plugin: StrategyPlugin<unknown>, history: History) => void;

/** A strategy did not keep a promise. The message says what it did, in a sentence. */
export class BrokenPromise extends Error {
  override readonly name = "BrokenPromise";
}

/** Each throws BrokenPromise, or what the strategy's host throws. */
const PROMISES = {
  answers: verifyAnswers,
  readonly: verifyReadonly,
  repeatable: verifyRepeatable,
  apart: verifyApart,
  snapshot: verifySnapshot,
  dispose: verifyDispose,
} as const satisfies Readonly<Record<PromiseName, Verify>>;

/**
 * Plays a history and looks whether the strategy keeps the promise in it.
 *
 * @throws {BrokenPromise} when it does not.
 * @throws {ConfigError} when it rejects its options or makes no strategy.
 */
export function keepsPromise(
  promise: PromiseName,
  plugin: StrategyPlugin<unknown>,
  history: History,
): void {
  if (!Object.hasOwn(PROMISES, promise)) {
    const allowed = Object.keys(PROMISES).join(", ");
    throw new Error(`keepsPromise was given ${JSON.stringify(promise)}, allowed ${allowed}`);
  }
  PROMISES[promise](plugin, history);
}

/** Whether a strategy breaks a promise in this history, and in which words; null if it does not. */
export function findBreach(
  promise: PromiseName,
  plugin: StrategyPlugin<unknown>,
  history: History,
): BrokenPromise | null {
  try {
    keepsPromise(promise, plugin, history);
    return null;
  } catch (thrown) {
    if (thrown instanceof BrokenPromise) return thrown;
    if (!(thrown instanceof ConfigError)) throw thrown;
    const message = thrown.problems.map((problem) => problem.message).join("; ");
    return new BrokenPromise(message, { cause: thrown });
  }
}

/** Every pick is one of the candidates or a refusal, and nothing is ever thrown. */
function verifyAnswers(plugin: StrategyPlugin<unknown>, history: History): void {
  const replay = new Replay(plugin, history);
  const fault = (): StrategyFault | undefined => replay.faults.find((one) => !isWrite(one));
  replay.run(history.steps, () => fault() !== undefined);
  const found = fault();
  if (found === undefined) return;
  const { previous, ...alone } = history;
  const isOwing = previous !== undefined && findBreach("answers", plugin, alone) === null;
  const left = isOwing ? `when env.previous is ${describeValue(previous)}, ` : "";
  throw new BrokenPromise(`${left}${found.message}`, { cause: found.cause });
}

/** What the strategy is given is frozen, so changing it throws. */
function verifyReadonly(plugin: StrategyPlugin<unknown>, history: History): void {
  const options = frozenDeep(structuredClone(history.options));
  const replay = new Replay(plugin, { ...history, options });
  replay.run(history.steps, () => replay.faults.some(isWrite));
  const fault = replay.faults.find(isWrite);
  if (fault === undefined) return;
  throw new BrokenPromise(
    `${fault.method} changes what it was given: candidates, backends, requests and attempts belong ` +
      `to the proxy, so copy before you change ([...candidates].sort()); ${fault.message}`,
    { cause: fault.cause },
  );
}

/** About an hour: nothing that a strategy divides by goes into it. */
const ODD_MS = 3_661_007;

/** Plays it twice, with everything but `env` different. */
function verifyRepeatable(plugin: StrategyPlugin<unknown>, history: History): void {
  const play = (): readonly string[] => {
    const replay = new Replay(plugin, history);
    replay.run(history.steps);
    return replay.picks;
  };
  const one = withSurroundings({ stepMs: 0, seed: 1 }, play);
  const other = withSurroundings({ stepMs: ODD_MS, seed: 2 }, play);
  refuseDifference(one, other, (pick) => {
    return (
      `the same seed and the same clock gave different picks (${pick}): take the time from env.now() ` +
      "and chance from env.random(), not from Date, performance, process, Bun, Math or crypto, and keep " +
      "no state outside of create"
    );
  });
}

/** Plays it alone, then beside a second instance that lives through something else. */
function verifyApart(plugin: StrategyPlugin<unknown>, history: History): void {
  const play = (beside: boolean): readonly string[] => {
    const one = new Replay(plugin, history);
    const other = beside
      ? new Replay(plugin, { ...history, seed: history.seed + 1, weights: [3, 1, 2] })
      : null;
    for (const step of history.steps) {
      one.take(step);
      other?.take(["pick"]);
      if (step[0] === "end") other?.take(["end", 0, step[2] === "ok" ? "connect" : "ok"]);
    }
    return one.picks;
  };
  // Whoever uses the runtime's own clock and randomness breaks another promise and not this one.
  const quietly = (beside: boolean): readonly string[] =>
    withSurroundings({ stepMs: 0, seed: null }, () => play(beside));
  refuseDifference(quietly(false), quietly(true), (pick) => {
    return (
      `a second instance in the same process changes the picks of the first (${pick}): every pool has ` +
      "an instance of its own, so keep state in create and not at the top of the file"
    );
  });
}

/** The steps, then the same steps by an instance that is given what the first one left. */
function verifySnapshot(plugin: StrategyPlugin<unknown>, history: History): void {
  const first = new Replay(plugin, history);
  first.run(history.steps);
  const faultsBefore = first.faults.length;
  const snapshot = first.rehearsal.host.takeSnapshot();
  refuse(first.faults.slice(faultsBefore).find(({ method }) => method === "snapshot"));
  first.rehearsal.host.dispose();
  if (snapshot === undefined) return;
  const loss = jsonLoss(snapshot);
  if (loss !== null) {
    throw new BrokenPromise(
      `snapshot does not survive JSON: ${loss}; return plain data (objects, lists, text, finite ` +
        "numbers, true, false, null)",
    );
  }
  let read = false;
  const watched = watchEnv(plugin, (name) => (read ||= name === "previous"));
  let second: Replay;
  try {
    const previous: unknown = JSON.parse(JSON.stringify(snapshot));
    second = new Replay(watched, { ...history, previous });
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    const message = thrown.problems.map((problem) => problem.message).join("; ");
    throw new BrokenPromise(`given its own snapshot as env.previous, ${message}`, {
      cause: thrown,
    });
  }
  second.run(history.steps, () => second.faults.length > 0);
  const [fault] = second.faults;
  if (fault !== undefined && first.faults.length === 0) {
    throw new BrokenPromise(`given its own snapshot as env.previous, ${fault.message}`, {
      cause: fault.cause,
    });
  }
  if (read) return;
  throw new BrokenPromise(
    "snapshot returns something, but nothing reads env.previous: what one version learns, the next " +
      "one never hears of",
  );
}

function verifyDispose(plugin: StrategyPlugin<unknown>, history: History): void {
  let made: Strategy | undefined;
  const watched = withCreate(plugin, (env) => (made = plugin.create(env)));
  const replay = new Replay(watched, history);
  replay.run(history.steps);
  for (const time of ["once", "twice"]) {
    try {
      made?.dispose?.();
    } catch (thrown) {
      const { message } = faultOf("dispose", thrown);
      throw new BrokenPromise(`disposed of ${time}, ${message}`, { cause: thrown });
    }
  }
}

function refuse(fault: StrategyFault | undefined): void {
  if (fault !== undefined) throw new BrokenPromise(fault.message, { cause: fault.cause });
}

function refuseDifference(
  one: readonly string[],
  other: readonly string[],
  describe: (pick: string) => string,
): void {
  const index = one.findIndex((id, at) => id !== other[at]);
  if (index === -1) return;
  throw new BrokenPromise(describe(`pick ${index + 1} is ${one[index]}, then ${other[index]}`));
}

/** JavaScriptCore's and V8's words for a write to something frozen. */
const WRITE =
  /read-?\s?only|not (?:extensible|configurable)|non-?(?:extensible|writable|configurable)|unconfigurable|frozen|only a getter|delete property/i;

function isWrite({ cause }: StrategyFault): boolean {
  return cause instanceof TypeError && WRITE.test(cause.message);
}

/** Tells which of its env a strategy reads. */
function watchEnv(
  plugin: StrategyPlugin<unknown>,
  onRead: (name: string | symbol) => void,
): StrategyPlugin<unknown> {
  return withCreate(plugin, (env) =>
    plugin.create(
      new Proxy<StrategyEnv<unknown>>(env, {
        get(target, name) {
          onRead(name);
          return Reflect.get(target, name) as unknown;
        },
      }),
    ),
  );
}

/** The plugin, its methods and all, with something between its host and its `create`. */
export function withCreate(
  plugin: StrategyPlugin<unknown>,
  create: StrategyPlugin<unknown>["create"],
): StrategyPlugin<unknown> {
  return Object.create(plugin, { create: { value: create } }) as StrategyPlugin<unknown>;
}

function frozenDeep<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  for (const inner of Object.values(value)) frozenDeep(inner);
  return Object.freeze(value);
}
