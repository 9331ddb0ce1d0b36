import { describe, expect, test } from "bun:test";
import { factRingLength, FactRingReader, FactRingWriter } from "../../src/pool/fact-ring.ts";
import { createRandom } from "../../src/strategy/random.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function ring(capacity: number) {
  const words = new Int32Array(factRingLength(capacity));
  const writer = new FactRingWriter(words);
  return {
    words,
    write: (text: string) => writer.write(encoder.encode(text)),
    reader: () => new FactRingReader(words),
  };
}

function textsOf(reader: FactRingReader) {
  const { records, lost } = reader.read();
  return { texts: records.map((record) => decoder.decode(record)), lost };
}

describe("records", () => {
  test("reach every reader whole and in their order, whatever their length", () => {
    const { write, reader } = ring(1024);
    const [one, two] = [reader(), reader()];
    for (const text of ["", "a", "four", "fives", "été"]) expect(write(text)).toBe(true);
    const all = { texts: ["", "a", "four", "fives", "été"], lost: false };
    expect(textsOf(one)).toEqual(all);
    expect(textsOf(two)).toEqual(all);
    expect(textsOf(one)).toEqual({ texts: [], lost: false });
  });

  test("that were there before a reader came are not its own", () => {
    const { write, reader } = ring(64);
    write("before");
    const late = reader();
    write("after");
    expect(textsOf(late)).toEqual({ texts: ["after"], lost: false });
  });

  test("that are longer than a quarter of the ring are left out", () => {
    const { write, reader } = ring(64);
    const all = reader();
    expect(write("x".repeat(61))).toBe(false);
    expect(write("x".repeat(60))).toBe(true);
    expect(textsOf(all).texts).toEqual(["x".repeat(60)]);
  });

  test("over thousands of rounds none is missing for a reader that keeps up, at any place in the ring", () => {
    const { write, reader, words } = ring(128);
    // Shortly before the count of words passes 2^31, and then 2^32.
    for (const start of [0, 0x7fff_ff00 | 0, 0xffff_ff00 | 0]) {
      words.fill(start, 0, 2);
      const random = createRandom(start);
      const all = reader();
      for (let round = 0; round < 2000; round++) {
        const texts = Array.from({ length: 1 + Math.floor(random() * 4) }, (_, index) =>
          `${round}.${index}`.padEnd(Math.floor(random() * 80), "."),
        );
        for (const text of texts) write(text);
        expect(textsOf(all)).toEqual({ texts, lost: false });
      }
    }
  });
});

describe("a reader that is too slow", () => {
  test("loses what it has not read, notices, and reads on", () => {
    const { write, reader } = ring(64);
    const slow = reader();
    for (let i = 0; i < 40; i++) write(`record ${i}`);
    expect(textsOf(slow)).toEqual({ texts: [], lost: true });
    write("next");
    expect(textsOf(slow)).toEqual({ texts: ["next"], lost: false });
  });

  test("does not trust what the writer is about to write over", () => {
    const { write, reader, words } = ring(64);
    const slow = reader();
    for (let i = 0; i < 16; i++) write("a record a");
    const full = words.slice();
    expect(textsOf(slow).texts).toHaveLength(16);
    // The same again, with a writer that has begun the seventeenth.
    words.set(full);
    words[1] = (words[1] ?? 0) + 4;
    words[0] = 0;
    const other = reader();
    words[0] = full[0] ?? 0;
    expect(textsOf(other)).toEqual({ texts: [], lost: true });
  });
});

test("a writer that was killed in the middle of a record leaves a ring in which the next one writes on", () => {
  const { write, reader, words } = ring(64);
  const all = reader();
  write("whole");
  words[1] = (words[1] ?? 0) + 9;
  new FactRingWriter(words).write(encoder.encode("of the next"));
  expect(textsOf(all)).toEqual({ texts: ["whole", "of the next"], lost: false });
});

test("lengths that no writer wrote end the reading instead of the reader", () => {
  const { write, reader, words } = ring(64);
  const all = reader();
  write("good");
  write("then damaged");
  words[16 + 2] = 1 << 30;
  expect(textsOf(all)).toEqual({ texts: ["good"], lost: true });
});
