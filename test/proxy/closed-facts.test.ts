/** A worker's strategies share its process: what one of them is handed, it must not be able to change for others. */
import { expect, test } from "bun:test";
import type { Strategy, StrategyEnv } from "../../src/plugin.ts";
import { ok } from "../_support/attempt-bench.ts";
import { handlerBench } from "../_support/handler-bench.ts";

const BUILT_IN: readonly unknown[] = [Object.prototype, Array.prototype, null];

/** The parts of a value that can be written to, its classes' included. */
function openParts(value: unknown, place: string): string[] {
  if (typeof value !== "object" || value === null) return [];
  const open = Object.isFrozen(value) ? [] : [place];
  for (let from: object | null = value; !BUILT_IN.includes(from);) {
    const isOwn = from === value;
    if (!isOwn && !Object.isFrozen(from)) open.push(`the class of ${place}`);
    for (const key of Reflect.ownKeys(from as object)) {
      if (key === "constructor") continue;
      open.push(...openParts(Reflect.get(value, key), `${place}.${String(key)}`));
    }
    from = Object.getPrototypeOf(from) as object | null;
  }
  return open;
}

test("nothing that a strategy is handed can be written to", async () => {
  const handed = new Map<string, unknown>();
  const keep =
    (call: string) =>
    (...args: unknown[]): void => {
      for (const [index, arg] of args.entries()) {
        if (arg !== undefined) handed.set(`${call} ${index + 1}`, arg);
      }
    };
  const strategy = (env: StrategyEnv<unknown>): Strategy => {
    handed.set("env", env);
    handed.set("counter", env.counter("mine"));
    handed.set("counter without a name", env.counter(""));
    return {
      pick(candidates, context) {
        keep("pick")(candidates, context);
        return candidates[0];
      },
      onPoolChange: keep("onPoolChange"),
      onStart: keep("onStart"),
      onResponse: keep("onResponse"),
      onEnd: keep("onEnd"),
    };
  };
  const bench = handlerBench(ok, { strategy });
  expect((await bench.send()).status).toBe(200);
  expect([...handed.keys()]).toEqual([
    "env",
    "counter",
    "counter without a name",
    "onPoolChange 1",
    "pick 1",
    "pick 2",
    "onStart 1",
    "onResponse 1",
    "onResponse 2",
    "onEnd 1",
    "onEnd 2",
  ]);
  const open = [...handed].flatMap(([place, value]) => openParts(value, place));
  expect(open).toEqual([]);
});
