import { describe, expect, test } from "bun:test";
import type { ExplainedPick } from "../../src/admin/explanation.ts";
import { explainWhy } from "../../src/process/why.ts";

function why(change: Partial<ExplainedPick>): string {
  const pick = {
    strategy: { name: "mine", version: "1", source: "mine.ts" },
    chosen: null,
    nobody: null,
    decidedBy: "pick",
    fault: null,
    tie: false,
    failOpen: false,
    candidates: [],
    excluded: [],
    shares: null,
    state: "none",
    otherWorkers: [],
    ...change,
  } as const;
  return explainWhy(pick, false);
}

describe("of a strategy that refuses", () => {
  test("always, whether it asked for chance or not", () => {
    const told = "mine refuses it: the client gets a 503";
    expect(why({ nobody: "refused" })).toBe(told);
    expect(why({ nobody: "refused", shares: { "(refused)": 1000 } })).toBe(told);
  });

  test("more often than anybody gets it: how often", () => {
    const shares = { "(refused)": 701, a: 150, b: 149 };
    expect(why({ nobody: "refused", shares })).toBe(
      "chance has a part in it (pick decides, no scores): mine refuses 701 of 1,000 picks, and the client gets a 503 then",
    );
    // What a fault was answered with is not what happens most often.
    expect(why({ nobody: "refused", shares, decidedBy: "least-connections" })).toBe(
      "chance has a part in it: mine refuses 701 of 1,000 picks, and the client gets a 503 then",
    );
  });

  test("less often than somebody gets it: both, also when the others are tied", () => {
    const shares = { a: 358, b: 350, "(refused)": 292 };
    const told =
      "chance has a part in it: a gets 358 of 1,000 picks of mine, which refuses 292: the client gets a 503 then";
    expect(why({ chosen: "a", shares, decidedBy: "score" })).toBe(told);
    expect(why({ chosen: "a", shares, decidedBy: "score", tie: true })).toBe(told);
  });
});
