import { expect, test } from "bun:test";
import { createRandom } from "../../src/strategy/random.ts";
import { fuzzResponseParser } from "./fuzz-response-parser.ts";

test("10,000 near-responses come out as an answer or as the parser's own error, however they are cut", () => {
  const { counts, findings } = fuzzResponseParser(createRandom(1), 10_000);
  expect(findings).toEqual([]);
  // Else the inputs would all take the same way.
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(50);
});
