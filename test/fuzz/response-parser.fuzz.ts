/**
 * The response parser against bytes that are nearly responses. Nothing but its own error may come out of it, and its
 * verdict must not depend on how the bytes were cut.
 *
 *     bun run fuzz                                        # 10^6 inputs
 *     FUZZ_INPUTS=10000000 FUZZ_SEED=7 bun run fuzz
 */
import { createRandom } from "../../src/strategy/random.ts";
import { fuzzResponseParser } from "./fuzz-response-parser.ts";

const inputs = Number(process.env["FUZZ_INPUTS"] ?? 1_000_000);
const seed = Number(process.env["FUZZ_SEED"] ?? 20_261_122);

console.log(`response parser: FUZZ_SEED=${seed} FUZZ_INPUTS=${inputs}`);
const startedAt = performance.now();
const { counts, findings } = fuzzResponseParser(createRandom(seed), inputs);
const seconds = (performance.now() - startedAt) / 1000;
for (const [outcome, count] of Object.entries(counts)) console.log(`${outcome}: ${count}`);
console.log(`${Math.round(inputs / seconds)} inputs/s`);
for (const { input, problem } of findings) {
  console.error(`${problem}: ${JSON.stringify(input)}`);
}
process.exitCode = findings.length === 0 ? 0 : 1;
