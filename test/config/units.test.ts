import { expect, test } from "bun:test";
import { formatDuration, formatSize, parseDuration, parseSize } from "../../src/config/units.ts";

test.each([
  ["250ms", 250],
  ["5s", 5000],
  ["1.5s", 1500],
  ["1m", 60_000],
  ["1h", 3_600_000],
  ["0s", 0],
])("%s is a duration", (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each(["5", "", "s", "-1s", "5 s", "1m30s", "5S", "1e3ms", "5sec", "١s", "5s\n"])(
  "%p is no duration",
  (text) => {
    expect(parseDuration(text)).toBeNull();
  },
);

test.each([
  ["512B", 512],
  ["64KiB", 65_536],
  ["10MB", 10_000_000],
  ["1GiB", 1_073_741_824],
  ["0.5KiB", 512],
])("%s is a size", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each(["64", "64kb", "64 KiB", "-1B", "1.5B", "1TiB", "99999999999GiB"])(
  "%p is no size",
  (text) => {
    expect(parseSize(text)).toBeNull();
  },
);

test("a duration is shown in the largest unit that is exact", () => {
  expect([3_600_000, 90_000, 1500, 250, 0].map(formatDuration)).toEqual([
    "1h",
    "90s",
    "1500ms",
    "250ms",
    "0s",
  ]);
});

test.each([
  [1_073_741_824, "1GiB"],
  [134_217_728, "128MiB"],
  [1536, "1536B"],
  [65_536, "64KiB"],
  [0, "0B"],
])("%d bytes are written as %s", (bytes, text) => {
  expect(formatSize(bytes)).toBe(text);
  expect(parseSize(text)).toBe(bytes);
});
