import { describe, expect, test } from "bun:test";
import { StrayErrors } from "../../src/process/stray-errors.ts";
import { RecordedLog } from "../_support/recorded-log.ts";

function reported(thrown: unknown): unknown {
  const log = new RecordedLog();
  new StrayErrors(log, () => 0).report(thrown);
  expect(log.lines).toHaveLength(1);
  return log.lines[0]?.fields["error"];
}

test("an error is told with its stack, a text as it is", () => {
  const error = new TypeError("boom");
  expect(reported(error)).toBe(error.stack);
  expect(reported("boom")).toBe("boom");
});

describe("what no text can be made of is told all the same:", () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const breaks = (): never => {
    throw new Error("no stack");
  };
  const stackOf = (descriptor: PropertyDescriptor): Error =>
    Object.defineProperty(new Error("boom"), "stack", descriptor);
  const thrown: Readonly<Record<string, readonly [unknown, told: string]>> = {
    "an object without a prototype": [Object.create(null), "{}"],
    "a revoked Proxy": [proxy, "something that cannot be shown"],
    "a symbol": [Symbol("boom"), "Symbol(boom)"],
    "a stack that throws": [stackOf({ get: breaks }), "boom"],
    "a stack that is no text": [stackOf({ value: 1n }), "boom"],
  };
  for (const [what, [one, told]] of Object.entries(thrown)) {
    test(what, () => expect(reported(one)).toBe(told));
  }
});

test("one line a second says how many there were", () => {
  const log = new RecordedLog();
  let nowMs = 0;
  const strays = new StrayErrors(log, () => nowMs);
  for (; nowMs <= 1000; nowMs += 250) strays.report(new Error("boom"));
  expect(log.lines.map(({ fields }) => fields["count"])).toEqual([1, 5]);
});
