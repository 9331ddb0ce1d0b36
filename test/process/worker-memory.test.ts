import { expect, test } from "bun:test";
import { layOutWorkerMemory } from "../../src/process/worker-memory.ts";
import { INSTRUMENTS } from "../../src/telemetry/metrics/instruments.ts";
import { readRegion } from "../../src/telemetry/metrics/region-reader.ts";
import { RegionWriter } from "../../src/telemetry/metrics/region-writer.ts";

test.each([1, 2, 7])("what %d workers share lies apart, metrics on eight bytes", (workers) => {
  const shape = { rows: 3, workers };
  const layout = layOutWorkerMemory(shape);
  const memory = new Int32Array(layout.words);
  const regions = Array.from({ length: workers }, (_, worker) => layout.metrics(memory, worker));
  for (const region of regions) {
    expect(region.byteOffset % 8).toBe(0);
    region.fill(-1);
  }
  expect(layout.counters(memory).inFlight(2)).toBe(0);
  const census = layout.census(memory, "key");
  expect(census.connections).toBe(0);
  for (const region of regions) region.fill(0);
  const counters = layout.counters(memory);
  for (let worker = 0; worker < workers; worker++) counters.addInFlight(2, worker, 1);
  census.publish(workers - 1, [{ cells: census.cellsOf("192.0.2.7"), busy: true }]);
  expect(regions.every((region) => region.every((word) => word === 0))).toBe(true);
  // The last word of one is not the first of the next.
  const [first, second] = regions;
  first?.fill(7);
  if (second !== undefined) expect(second[0]).toBe(0);
  expect(regions.at(-1)?.at(-1)).toBe(workers === 1 ? 7 : 0);
  expect(memory.at(-1)).toBe(workers === 1 ? 7 : 0);
});

test("a region has room for every metric", () => {
  const memory = new Int32Array(layOutWorkerMemory({ rows: 1, workers: 1 }).words);
  const words = layOutWorkerMemory({ rows: 1, workers: 1 }).metrics(memory, 0);
  const writer = new RegionWriter({ words, instruments: INSTRUMENTS });
  for (const instrument of INSTRUMENTS) {
    const labels = instrument.labels.map(() => "x".repeat(50));
    if (instrument.kind === "histogram") writer.histogram(instrument, labels).record(1, null);
    else writer.number(instrument, labels).add(1);
  }
  const seen = readRegion(words, INSTRUMENTS);
  expect(seen.map(({ instrument }) => instrument.name)).toEqual(
    INSTRUMENTS.map(({ name }) => name),
  );
  expect(seen.every(({ text }) => text.startsWith("["))).toBe(true);
});
