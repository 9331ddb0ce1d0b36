import { expect, test } from "bun:test";
import { parseStatusRanges } from "../../src/config/status-ranges.ts";

test("single codes and ranges may be mixed", () => {
  expect(parseStatusRanges("200, 204,300-399")).toEqual({
    value: [
      [200, 200],
      [204, 204],
      [300, 399],
    ],
  });
});

test.each(["", "2xx", "200-", "99", "600", "200;204", "299-200", "200,,204"])(
  "%p holds no status codes",
  (text) => {
    expect(parseStatusRanges(text)).not.toHaveProperty("value");
  },
);
