import { describe, expect, test } from "bun:test";
import { createProgressDisplay } from "../../../src/cli/demo/progress.ts";
import type { DemoProgress } from "../../../src/cli/demo/run-demo.ts";

const at = (phase: DemoProgress["phase"], fraction: number): DemoProgress => ({
  row: { label: "round-robin", strategy: "round-robin", guards: "off" },
  rowIndex: 0,
  rowCount: 3,
  phase,
  fraction,
});

function show(blocks: boolean, ...steps: readonly DemoProgress[]): string[] {
  const written: string[] = [];
  const style = { colour: false, blocks, columns: 80 };
  const display = createProgressDisplay((text) => written.push(text), style);
  for (const step of steps) display.update(step);
  display.clear();
  return written;
}

describe("progress", () => {
  test("where there is no terminal it is one line for every step", () => {
    expect(show(false, at("baseline", 0), at("baseline", 0.05), at("spike", 0.1))).toEqual([
      "demo: run 1 of 3, round-robin: baseline\n",
      "demo: run 1 of 3, round-robin: spike\n",
    ]);
  });

  test("on a terminal it is a bar that is redrawn in place and removed at the end", () => {
    expect(show(true, at("spike", 0.25), at("spike", 0.25))).toEqual([
      "\r\x1b[K██████··················  25 % run 1 of 3, round-robin: spike",
      "\r\x1b[K",
    ]);
  });

  test("nothing is removed where nothing was drawn", () => {
    expect(show(true)).toEqual([]);
  });
});
