import { describe, expect, test } from "bun:test";
import { drawBar, paint, terminalStyle } from "../../../src/cli/demo/terminal.ts";

describe("the style of an output", () => {
  const terminal = { isTTY: true, columns: 120 };

  test("a terminal gets colour, blocks and its own width", () => {
    expect(terminalStyle(terminal, {})).toEqual({ colour: true, blocks: true, columns: 120 });
  });

  test("NO_COLOR takes the colour away, unless it is empty", () => {
    expect(terminalStyle(terminal, { NO_COLOR: "1" }).colour).toBe(false);
    expect(terminalStyle(terminal, { NO_COLOR: "" }).colour).toBe(true);
  });

  test("a pipe and a dumb terminal get plain text", () => {
    const plain = { colour: false, blocks: false };
    expect(terminalStyle({}, {})).toEqual({ ...plain, columns: 80 });
    expect(terminalStyle(terminal, { TERM: "dumb" })).toEqual({ ...plain, columns: 120 });
  });

  test("a terminal that does not tell its width is taken to be 80 wide", () => {
    expect(terminalStyle({ isTTY: true, columns: 0 }, {}).columns).toBe(80);
  });
});

describe("bars", () => {
  const blocks = { colour: false, blocks: true, columns: 80 };
  const ascii = { colour: false, blocks: false, columns: 80 };

  test("are in proportion, to an eighth of a character where there are blocks", () => {
    expect(drawBar(blocks, 5, 16, 4)).toBe("█▎");
    expect(drawBar(ascii, 5, 10, 4)).toBe("##");
  });

  test("of 0 are empty, above 0 never, and never longer than the width", () => {
    expect([drawBar(blocks, 0, 10, 4), drawBar(ascii, 0, 10, 4), drawBar(ascii, 0, 0, 4)]).toEqual([
      "",
      "",
      "",
    ]);
    expect([drawBar(blocks, 1, 1e6, 4), drawBar(ascii, 1, 1e6, 4)]).toEqual(["▏", "#"]);
    expect(drawBar(ascii, 20, 10, 4)).toBe("####");
  });

  test("colour is only added where it is wanted", () => {
    expect(paint(ascii, "red", "x")).toBe("x");
    expect(paint({ ...ascii, colour: true }, "red", "x")).toBe("\x1b[31mx\x1b[0m");
  });
});
