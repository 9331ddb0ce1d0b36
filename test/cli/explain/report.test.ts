import { describe, expect, test } from "bun:test";
import type { ExplainAnswer, ExplainedPick } from "../../../src/admin/explanation.ts";
import { renderAnswer, renderShown, type ShownPick } from "../../../src/cli/explain/report.ts";

function pick(change: Partial<ShownPick>): ShownPick {
  return {
    why: "why",
    chosen: "a",
    failOpen: false,
    candidates: [],
    excluded: [],
    notes: [],
    ...change,
  };
}

function candidate(id: string, score: number | null) {
  return { id, inFlight: 0, weight: 1, score };
}

test("of a large pool those who come first are shown, and how many there are more", () => {
  const candidates = Array.from({ length: 1000 }, (_, index) => candidate(`b${index}`, null));
  const excluded = [{ id: "out", reason: "down" }];
  const lines = renderShown(pick({ candidates, excluded, chosen: "b999" })).split("\n");
  expect(lines).toHaveLength(1 + 1 + 40 + 1 + 1);
  expect(lines[2]).toStartWith("b999 ");
  expect(lines[2]).toEndWith("<- gets it");
  expect(lines.at(-1)).toBe("and 960 more, which --json shows");
});

test("the lowest score comes first, and Infinity last", () => {
  const candidates = [
    { ...candidate("never", 0), score: "Infinity" } as const,
    candidate("b", 2.000_000_1),
    candidate("a", 1 / 3),
  ];
  expect(renderShown(pick({ candidates }))).toBe(
    "why\n" +
      "BACKEND  IN FLIGHT  WEIGHT  SCORE\n" +
      "a        0          1       0.333333  <- gets it\n" +
      "b        0          1       2\n" +
      "never    0          1       Infinity",
  );
});

test("whoever gets most of the picks is marked, unless several get as many", () => {
  const candidates = [candidate("a", 0), candidate("b", 0)];
  const most = renderShown(pick({ candidates, shares: { a: 300, b: 700 }, chosen: "b" }));
  expect(most).toMatch(/\nb .* 700 +<- most often\na .* 300$/);
  const even = renderShown(pick({ candidates, shares: { a: 500, b: 500 } }));
  expect(even).not.toContain("<-");
});

/** Its last line: what would change. */
function change(was: ShownPick["shares"], is: ShownPick["shares"]): string {
  const [before, after] = [was, is].map(
    (shares) =>
      ({
        ...pick({ chosen: "b", shares: shares ?? null }),
        strategy: { name: "random", version: "1", source: "built-in" },
        state: "none",
        otherWorkers: [],
      }) as unknown as ExplainedPick,
  );
  const request = { method: "GET", host: "a", path: "/", query: "" };
  const answer = { request, route: null, pool: "web", before, after } as unknown as ExplainAnswer;
  return renderAnswer(answer, "a draining").trimEnd().split("\n\n").at(-1) ?? "";
}

test("of a large pool those whose shares change the most are told", () => {
  const ids = Array.from({ length: 500 }, (_, index) => `b${String(index).padStart(3, "0")}`);
  const was = Object.fromEntries(ids.map((id) => [id, 2]));
  const is = { ...was, b400: 0, b007: 9, b123: 3, b499: 3 };
  const told = change(was, is);
  expect(told).toStartWith(
    "of 1,000 picks: b007 2 -> 9, b400 2 -> 0, b123 2 -> 3, b499 2 -> 3, b000 2 -> 2, ",
  );
  expect(told.split(" -> ")).toHaveLength(11);
  expect(told).toEndWith(" and 490 more, which --json shows");
});

test("of a small pool all are told, by name", () => {
  expect(change({ b: 700, a: 300 }, { a: 290, c: 710 })).toBe(
    "of 1,000 picks: a 300 -> 290, b 700 -> 0, c 0 -> 710",
  );
});

test.each([
  [{ a: 300, b: 700 }, null, "b would get it always instead of most often"],
  [null, { a: 300, b: 700 }, "b would get it most often instead of always"],
  [{ a: 500, b: 500 }, null, "b would get it instead of one of several"],
  [null, null, "nothing would change: b"],
])("what would change is told when the same backend stays ahead (%j to %j)", (was, is, told) => {
  expect(change(was, is)).toBe(told);
});

describe("refusals by chance", () => {
  const candidates = [candidate("a", null), candidate("b", null)];
  const excluded = [{ id: "out", reason: "down", inFlight: 0, weight: 1 }];

  test("have a row of their own below those who get more, and above those who get nothing", () => {
    const shares = { b: 350, "(refused)": 292, a: 358 };
    expect(renderShown(pick({ candidates, excluded, shares }))).toBe(
      "why\n" +
        "BACKEND    IN FLIGHT  WEIGHT  SCORE  OF 1,000 PICKS\n" +
        "a          0          1       -      358             <- most often\n" +
        "b          0          1       -      350\n" +
        "(refused)                            292\n" +
        "out        0          1                              down",
    );
  });

  test("come first, and are marked, when they are the most", () => {
    const shares = { b: 149, "(refused)": 701, a: 150 };
    const lines = renderShown(pick({ candidates, shares, chosen: null })).split("\n");
    expect(lines[2]).toMatch(/^\(refused\) +701 +<- most often$/);
    expect(lines[3]).toMatch(/^a .* 150$/);
    expect(lines).toHaveLength(5);
  });

  test("are no backend that a large pool has more", () => {
    const many = Array.from({ length: 41 }, (_, index) => candidate(`b${index}`, null));
    const shares = { ...Object.fromEntries(many.map(({ id }) => [id, 24])), "(refused)": 16 };
    const lines = renderShown(pick({ candidates: many, shares })).split("\n");
    expect(lines.at(-2)).toMatch(/^\(refused\) +16$/);
    expect(lines.at(-1)).toBe("and 1 more, which --json shows");
  });

  test("are told by name where they change", () => {
    expect(change({ b: 700, "(refused)": 300 }, { b: 1000 })).toBe(
      "of 1,000 picks: (refused) 300 -> 0, b 700 -> 1000",
    );
  });
});
