import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { cover, findEvidence, readCases, readEvidence } from "./coverage.ts";
import { formatTable } from "./table.ts";

const tables = readCases();
const cases = tables.flatMap((table) => table.cases);
const evidence = readEvidence();

describe("the conformance table", () => {
  test("has the cases of all eight tables, each once", () => {
    expect(tables.map(({ table }) => table)).toEqual(["A", "A'", "B", "C", "D", "E", "F", "G"]);
    expect(new Set(cases.map(({ id }) => id)).size).toBe(142);
  });

  test("names a test for every case", () => {
    const missing = cover(cases, evidence).filter(
      ({ shown, not }) => [...shown, ...not].length === 0,
    );
    expect(missing.map((each) => each.case.id)).toEqual([]);
  });

  test("has at most 15 cases that are not wholly met", () => {
    const limited = cover(cases, evidence).filter(({ not }) => not.length > 0);
    expect(limited.length).toBeLessThanOrEqual(15);
  });

  test("names no case that does not exist", () => {
    const known = new Set(cases.map(({ id }) => id));
    expect(evidence.flatMap(({ ids }) => ids).filter((id) => !known.has(id))).toEqual([]);
  });

  test("is up to date: `bun run conformance` writes it", () => {
    const written = readFileSync(join(import.meta.dir, "README.md"), "utf8");
    expect(written).toBe(formatTable(tables, evidence));
  });
});

describe("a test's title", () => {
  test.each([
    [
      'test("both framings are refused [A01, A02]", () => {})',
      [["both framings are refused", ["A01", "A02"], false]],
    ],
    ['test("trailers get 400 [not A25]", () => {})', [["trailers get 400", ["A25"], true]]],
    [
      'test("lines are joined [C09] [not C10]", () => {})',
      [
        ["lines are joined", ["C09"], false],
        ["lines are joined", ["C10"], true],
      ],
    ],
    [
      'describe("a request", () => {\n  test("is refused [A01]", () => {});\n});\ntest("alone [A02]"',
      [
        ["a request is refused", ["A01"], false],
        ["alone", ["A02"], false],
      ],
    ],
    [
      'describe.each([\n  ["x"],\n])("a %s", (x) => {\n  test.each([\n    [1],\n  ])("and %d [A01]"',
      [["a %s and %d", ["A01"], false]],
    ],
    ['test("no case [see below]", () => {})', []],
    ["// a comment [A01]", []],
  ] as const)("%s", (source, found) => {
    expect(findEvidence(source).map(({ title, ids, not }) => [title, ids, not])).toEqual(
      found.map(([title, ids, not]) => [title, [...ids], not]),
    );
  });
});
