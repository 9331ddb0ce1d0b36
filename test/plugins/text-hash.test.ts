import { describe, expect, test } from "bun:test";
import { hashText, mixHashes } from "../../plugins/text-hash.ts";
import { createRandom } from "../../src/strategy/random.ts";
import { strangeness } from "../_support/chi-square.ts";

describe("the hash of a text", () => {
  test("is MurmurHash3_x86_32 of its UTF-16 bytes", () => {
    // Of the bytes: none; none with a seed; 21 43; 21 43 65 87; the same with a seed.
    expect(hashText("")).toBe(0);
    expect(hashText("", 1)).toBe(0x514e28b7);
    expect(hashText("\u4321")).toBe(0xa0f7b07a);
    expect(hashText("\u4321\u8765")).toBe(0xf55b516b);
    expect(hashText("\u4321\u8765", 0x5082edee)).toBe(0x2362f9de);
  });

  test("spreads texts that are nearly alike over all of 64 parts", () => {
    for (const text of [(n: number) => `${n}`, (n: number) => `10.0.${n >> 8}.${n & 255}`]) {
      const counts = Array<number>(64).fill(0);
      for (let n = 0; n < 64_000; n++) {
        const part = hashText(text(n)) >>> 26;
        counts[part] = (counts[part] ?? 0) + 1;
      }
      expect(strangeness(counts, Array(64).fill(1))).toBeLessThan(1);
    }
  });
});

test("two hashes that are mixed spread over all of 64 parts, however alike the seconds are", () => {
  const random = createRandom(1);
  const counts = Array<number>(64).fill(0);
  for (let n = 0; n < 64_000; n++) {
    const part = mixHashes(Math.floor(random() * 2 ** 32), n & 1) >>> 26;
    counts[part] = (counts[part] ?? 0) + 1;
  }
  expect(strangeness(counts, Array(64).fill(1))).toBeLessThan(1);
});
