import { expect, test } from "bun:test";
import { compare, formatTable } from "./report.ts";

const measured = [
  { name: "nginx", cpuMicros: [20, 40, 30], requestsPerSecond: [100, 100, 100] },
  { name: "leastwise", cpuMicros: [30, 60, 90], requestsPerSecond: [50, 60, 70] },
];

test("each round is compared with the same round of the reference", () => {
  const [nginx, leastwise] = compare(measured, "nginx");
  expect(nginx?.ratio).toEqual({ median: 1, min: 1, max: 1 });
  expect(leastwise?.ratio).toEqual({ median: 1.5, min: 1.5, max: 3 });
  expect(leastwise?.cpuMicros).toEqual({ median: 60, min: 30, max: 90 });
});

test("the table names the reference and shows medians with their spread", () => {
  const table = formatTable(compare(measured, "nginx"), "nginx");
  expect(table.split("\n")).toEqual([
    "proxy      CPU µs/request    times nginx       requests/s",
    "nginx      30.0 (20.0-40.0)  1.00 (1.00-1.00)  100 (100-100)",
    "leastwise  60.0 (30.0-90.0)  1.50 (1.50-3.00)  60 (50-70)",
  ]);
});
