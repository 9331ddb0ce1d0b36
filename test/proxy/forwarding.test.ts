import { expect, test } from "bun:test";
import { readRequestId } from "../../src/proxy/forwarding.ts";

test.each(["a", "A-1_b.c", "x".repeat(128)])("the request id %s may be kept", (id) => {
  expect(readRequestId(id)).toBe(id);
});

test.each([null, "", "a b", "a, b", "a\nb", "caf\xe9", "x".repeat(129), "x".repeat(10_000)])(
  "the request id %j is not kept",
  (id) => {
    expect(readRequestId(id)).toBeNull();
  },
);
