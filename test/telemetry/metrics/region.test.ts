import { expect, test } from "bun:test";
import type { Instrument } from "../../../src/telemetry/metrics/instrument.ts";
import { entryCells, HEADER_CELLS, regionLength } from "../../../src/telemetry/metrics/region.ts";
import { clearRegion, readRegion } from "../../../src/telemetry/metrics/region-reader.ts";
import { RegionWriter } from "../../../src/telemetry/metrics/region-writer.ts";

const requests: Instrument = {
  name: "requests",
  unit: "{request}",
  description: "Requests.",
  kind: "counter",
  bounds: [],
  labels: ["path", "status"],
};
const duration: Instrument = {
  name: "duration",
  unit: "s",
  description: "Duration.",
  kind: "histogram",
  bounds: [0.1, 1],
  labels: ["path"],
};
const INSTRUMENTS = [requests, duration];
const SPAN = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "f7ad6b7169203331" };

function region(cells = 1000): Int32Array {
  return new Int32Array(cells * 2);
}

function writerOn(words: Int32Array, onFull?: (instrument: Instrument) => void): RegionWriter {
  return new RegionWriter({ words, instruments: INSTRUMENTS, ...(onFull && { onFull }) });
}

function read(words: Int32Array): Record<string, number[]> {
  const all = readRegion(words, INSTRUMENTS);
  return Object.fromEntries(
    all.map(({ instrument, text, values }) => [`${instrument.name}${text}`, [...values]]),
  );
}

test("what was counted is read, per instrument and labels, with the kinds of the labels kept", () => {
  const words = region();
  const writer = writerOn(words);
  writer.number(requests, ["/a", 200]).add(2);
  writer.number(requests, ["/ä\n", null]).add(0.5);
  writer.number(requests, ["/a", 200]).add(1);
  const series = writer.histogram(duration, ["/a"]);
  for (const seconds of [0.05, 0.1, 0.5, 7]) series.record(seconds, null);
  expect(read(words)).toEqual({
    'requests["/a",200]': [3],
    'requests["/ä\\n",null]': [0.5],
    // A value on a bound is in the bucket below it.
    'duration["/a"]': [7.65, 2, 1, 1],
  });
});

test("nothing is read from a region that nobody has written to, or that was cleared", () => {
  const words = region();
  expect(read(words)).toEqual({});
  writerOn(words).number(requests, ["/", 1]).add(1);
  clearRegion(words);
  expect(read(words)).toEqual({});
  expect(words.every((word) => word === 0)).toBe(true);
});

test("a reader sees every entry whole, however far its owner has come in writing the next", () => {
  const finished = region();
  const writer = writerOn(finished);
  writer.number(requests, ["/first", 200]).add(1);
  const before = finished.slice();
  writer.histogram(duration, ["/second"]).record(0.5, SPAN);
  const whole = read(finished);
  const changed = [...finished.keys()].filter((word) => finished[word] !== before[word]);
  expect(changed.length).toBeGreaterThan(10);
  // In any order of the writes but that of the length, which comes after what it counts.
  const rest = changed.filter((word) => word !== 0);
  for (const order of [rest, rest.toReversed()]) {
    const seen = before.slice();
    for (const word of order) {
      seen[word] = finished[word] ?? 0;
      expect(read(seen)).toEqual({ 'requests["/first",200]': [1] });
    }
    seen[0] = finished[0] ?? 0;
    expect(read(seen)).toEqual(whole);
  }
});

test("memory that something has damaged is no end to the reader", () => {
  const words = region(200);
  const writer = writerOn(words);
  writer.number(requests, ["/a", 200]).add(1);
  writer.histogram(duration, ["/b"]).record(0.5, SPAN);
  let damaged = 0;
  for (let word = 0; word < words.length; word++) {
    for (const garbage of [0, -1, 3, 0x7fff_ffff]) {
      const copy = words.slice();
      copy[word] = garbage;
      expect(readRegion(copy, INSTRUMENTS).length).toBeLessThanOrEqual(words.length);
      if (Object.keys(read(copy)).length !== 2) damaged++;
    }
  }
  expect(damaged).toBeGreaterThan(0);
  // An entry whose length and text go together, far beyond the end.
  const beyond = words.slice();
  beyond[HEADER_CELLS * 2] = entryCells(requests, 80_000);
  beyond[HEADER_CELLS * 2 + 2] = 80_000;
  expect(read(beyond)).toEqual({});
});

test("series for which there is no room add up in one, and its owner is told once", () => {
  const full: string[] = [];
  const room = entryCells(requests, '["/0",200]'.length) * 3;
  const reserve = entryCells(requests, 0) + entryCells(duration, 0);
  const words = region(HEADER_CELLS + reserve + room);
  const writer = writerOn(words, ({ name }) => full.push(name));
  for (let path = 0; path < 10; path++) writer.number(requests, [`/${path}`, 200]).add(1);
  for (let path = 0; path < 10; path++) writer.histogram(duration, [`/${path}`]).record(0.5, SPAN);
  expect(read(words)).toEqual({
    'requests["/0",200]': [1],
    'requests["/1",200]': [1],
    'requests["/2",200]': [1],
    requests: [7],
    duration: [5, 0, 10, 0],
  });
  expect(full).toEqual(["requests"]);
  expect(() => writerOn(region(HEADER_CELLS + reserve - 1))).toThrow(RangeError);
});

test("a bucket keeps the span of a measurement that fell into it", () => {
  const words = region();
  const writer = writerOn(words);
  const series = writer.histogram(duration, ["/a"]);
  series.record(0.05, null);
  expect(readRegion(words, INSTRUMENTS)[0]?.exemplars).toEqual([]);
  series.record(0.5, SPAN);
  // Within the same second: the first one stays.
  series.record(0.7, { traceId: "1".repeat(32), spanId: "2".repeat(16) });
  expect(readRegion(words, INSTRUMENTS)[0]?.exemplars).toEqual([
    null,
    { ...SPAN, value: 0.5, timeMs: expect.any(Number) },
    null,
  ]);
});

test("an exemplar that is being written is not read", () => {
  const words = region();
  writerOn(words).histogram(duration, ["/a"]).record(0.5, SPAN);
  const exemplar = () => readRegion(words, INSTRUMENTS)[0]?.exemplars[1] ?? null;
  expect(exemplar()).not.toBeNull();
  // The sequence number: the only cell that holds 2 (written once) in the word where it begins.
  const head = [...words.keys()].findLast((word) => word % 2 === 0 && words[word] === 2);
  Atomics.add(words, head ?? 0, 1);
  expect(exemplar()).toBeNull();
  Atomics.add(words, head ?? 0, 1);
  expect(exemplar()).not.toBeNull();
});

test("exemplars take room from no series", () => {
  const words = region(120);
  const writer = writerOn(words);
  for (let path = 0; path < 5; path++) writer.histogram(duration, [`/${path}`]).record(0.5, SPAN);
  const all = readRegion(words, INSTRUMENTS);
  expect(all.map(({ text }) => text)).toEqual(['["/0"]', '["/1"]', '["/2"]', '["/3"]', '["/4"]']);
  expect(all.map(({ exemplars }) => exemplars.length)).toEqual([3, 3, 0, 0, 0]);
});

test("regions of any number of backends begin on eight bytes", () => {
  for (const backends of [0, 1, 7, 1027]) expect(regionLength(backends) % 2).toBe(0);
});
