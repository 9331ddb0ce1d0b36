import { describe, expect, test } from "bun:test";
import type { TerminalStyle } from "../../../src/cli/demo/terminal.ts";
import { renderText } from "../../../src/cli/demo/text-report.ts";
import { createReport, createRow } from "./report-fixture.ts";

const PLAIN: TerminalStyle = { colour: false, blocks: false, columns: 80 };
const TERMINAL: TerminalStyle = { colour: true, blocks: true, columns: 80 };
const report = createReport(
  [
    createRow({ label: "round-robin", p99: 2480, errors: 63 }),
    createRow({ label: "least-connections", p99: 211, errors: 0 }),
  ],
  ["p99 fell."],
);

/** The lines of one block, without its title. */
function block(text: string, title: string): string[] {
  const lines = text.split("\n");
  const start = lines.findIndex((line) => line.startsWith(title));
  return lines.slice(start + 1, lines.indexOf("", start));
}

describe("the report for people", () => {
  test("every row has its figure and a bar in proportion to it", () => {
    const [roundRobin = "", leastConnections = ""] = block(renderText(report, PLAIN), "p99");
    expect(roundRobin).toMatch(/^ {2}round-robin +2480 ms {2}#+$/);
    expect(leastConnections).toMatch(/^ {2}least-connections +211 ms {2}#+$/);
    const lengths = [roundRobin, leastConnections].map((line) => line.split("#").length - 1);
    expect(lengths).toEqual([40, 3]);
  });

  test("errors are broken down by kind, and without errors there is no bar", () => {
    const lines = block(renderText(report, PLAIN), "errors");
    expect(lines[0]).toMatch(/6\.3 % {2}#+ 63 x backend 502$/);
    expect(lines[1]).toMatch(/ 0 %$/);
  });

  test("the share of each kind of backend is counted", () => {
    const [line] = block(renderText(report, PLAIN), "share of the degraded backends");
    expect(line).toMatch(/30\.0 % {2}#{12}\.{28} normal 700, degraded 300$/);
  });

  test("a row without a good answer has no latency", () => {
    const failed = createReport([createRow({ label: "mine", p99: null, errors: 1000 })]);
    expect(block(renderText(failed, PLAIN), "p99")).toEqual(["  mine       none"]);
  });

  test("it says that the scenario is calibrated, what was found and what to try next", () => {
    const text = renderText(report, PLAIN);
    expect(text).toContain("Calibrated:");
    expect(text).toContain("\n- p99 fell.\n");
    expect(text).toContain("leastwise serve --backend");
    expect(text).toContain("--strategy ./mine.ts");
  });

  test("plain text holds printable ASCII only", () => {
    expect(renderText(report, PLAIN)).toMatch(/^[\n\x20-\x7e]+$/);
  });

  test("a terminal gets colours and blocks, and the same figures", () => {
    const text = renderText(report, TERMINAL);
    expect(text).toContain("\x1b[36m█");
    expect(text).toContain("2480 ms");
    expect(renderText(report, { ...TERMINAL, colour: false })).not.toContain("\x1b");
  });
});
