import { describe, expect, test } from "bun:test";
import { createFindings } from "../../../src/cli/demo/findings.ts";
import { createRow } from "./report-fixture.ts";

describe("findings are computed from the figures", () => {
  test("a lower p99 and fewer errors are said with both figures", () => {
    const rows = [
      createRow({ label: "a", p99: 2480, errors: 63 }),
      createRow({ label: "b", p99: 211, errors: 0 }),
    ];
    expect(createFindings(rows)).toEqual([
      "p99 fell from 2480 ms (a) to 211 ms (b): 91.5 % lower.",
      "Errors fell from 6.3 % (a) to 0 % (b).",
    ]);
  });

  test("a higher p99 and more errors are called no improvement", () => {
    const rows = [
      createRow({ label: "a", p99: 211, errors: 0 }),
      createRow({ label: "b", p99: 2480, errors: 63 }),
    ];
    expect(createFindings(rows)).toEqual([
      "p99 rose from 211 ms (a) to 2480 ms (b): no improvement.",
      "Errors rose from 0 % (a) to 6.3 % (b): no improvement.",
    ]);
  });

  test("a difference of a few percent is no improvement either", () => {
    const rows = [
      createRow({ label: "a", p99: 211, errors: 40 }),
      createRow({ label: "b", p99: 204, errors: 39 }),
    ];
    expect(createFindings(rows)).toEqual([
      "p99 did not improve: 211 ms (a) to 204 ms (b).",
      "The error rate did not improve: 4.0 % (a) to 3.9 % (b).",
    ]);
  });

  test("without errors on either side that is all that is said of them", () => {
    const rows = [
      createRow({ label: "a", p99: 300, errors: 0 }),
      createRow({ label: "b", p99: 200, errors: 0 }),
    ];
    expect(createFindings(rows)[1]).toBe("No request failed, neither with a nor with b.");
  });

  test("a run without a good answer is compared with nothing", () => {
    const rows = [
      createRow({ label: "a", p99: 300, errors: 0 }),
      createRow({ label: "b", p99: null, errors: 1000 }),
    ];
    expect(createFindings(rows)[0]).toBe("p99 cannot be compared: b had no good answer.");
  });

  test("every later row is compared with the first", () => {
    const rows = ["a", "b", "c"].map((label) => createRow({ label, p99: 100, errors: 0 }));
    expect(createFindings(rows)).toHaveLength(4);
    expect(createFindings(rows.slice(0, 1))).toEqual([]);
  });
});
