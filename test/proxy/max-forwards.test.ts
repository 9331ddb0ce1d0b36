import { describe, expect, test } from "bun:test";
import { lastHopAnswer, oneHopLess } from "../../src/proxy/max-forwards.ts";
import { frontRequest } from "../_support/front-request.ts";

function asked(method: string, maxForwards: string | null) {
  const headers: Record<string, string> = { host: "a" };
  if (maxForwards !== null) headers["max-forwards"] = maxForwards;
  return lastHopAnswer(frontRequest({ method, headers }));
}

describe("a request that may go no further", () => {
  test("is answered by us when it is OPTIONS", () => {
    expect(asked("OPTIONS", "0")).toMatchObject({ status: 204, body: null });
  });

  test("is none when it is another method, or the field is missing or no number", () => {
    for (const field of [null, "", "1", "-0", "0, 0", "0x0"]) {
      expect(asked("OPTIONS", field)).toBeNull();
    }
    expect(asked("GET", "0")).toBeNull();
  });
});

describe("the next server is told", () => {
  test.each([
    ["1", "0"],
    ["010", "9"],
    ["256", "255"],
    ["1000", "255"],
    ["9".repeat(400), "255"],
  ])("of %s hops that %s are left", (maxForwards, left) => {
    expect(oneHopLess("OPTIONS", maxForwards)).toBe(left);
  });

  test("the same of what is no number, or of another method", () => {
    expect(oneHopLess("OPTIONS", "many")).toBe("many");
    expect(oneHopLess("GET", "5")).toBe("5");
  });
});
