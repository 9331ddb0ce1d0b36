import { describe, expect, test } from "bun:test";
import { formatCount, formatMs, formatPercent } from "../../../src/cli/demo/format.ts";

describe("figures as text", () => {
  test("milliseconds have three digits or more", () => {
    expect([0.04, 98.44, 99.96, 211.4, 2480].map(formatMs)).toEqual([
      "0.0 ms",
      "98.4 ms",
      "100 ms",
      "211 ms",
      "2480 ms",
    ]);
  });

  test("a rate that is not 0 never reads as 0 %", () => {
    expect([0, 1e-9, 0.00006, 0.005, 0.0631, 1].map(formatPercent)).toEqual([
      "0 %",
      "< 0.001 %",
      "0.006 %",
      "0.50 %",
      "6.3 %",
      "100.0 %",
    ]);
  });

  test("thousands are set apart", () => {
    expect([0, 999, 1000, 17_106, 1_234_567].map(formatCount)).toEqual([
      "0",
      "999",
      "1,000",
      "17,106",
      "1,234,567",
    ]);
  });
});
