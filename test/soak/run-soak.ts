/**
 * Everything at once for as long as you like: requests of all sizes while workers and backends are killed, the
 * configuration and the strategy are changed, backends drained, workers recycled and processes stopped.
 *
 *     bun run soak --minutes 60 --seed 7
 *
 * In a run of 8 minutes or more there are some in which workers are left alone and their memory is watched;
 * `--leak 1000` plants a strategy that keeps so many bytes of each request, which must be found.
 * Prints a line a minute. Exit code 1 when something grew, a count did not come back to 0, or a request failed for which
 * nothing that was done is an explanation.
 */
import { parseArgs } from "node:util";
import { createRandom } from "../../src/strategy/random.ts";
import { describeMinute } from "./minute-line.ts";
import { hasCalm } from "./phase.ts";
import { Soak } from "./soak.ts";
import { SoakStage } from "./soak-stage.ts";

const USAGE = "usage: bun run soak [--minutes N] [--seed N] [--leak BYTES]";

function fail(message: string): never {
  console.error(`${message}\n${USAGE}`);
  process.exit(2);
}

function flags(): { [name in "minutes" | "seed" | "leak"]?: string | undefined } {
  try {
    const text = { type: "string" } as const;
    return parseArgs({ options: { minutes: text, seed: text, leak: text } }).values;
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function count(name: string, text: string, least: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value) && value >= least) return value;
  return fail(`--${name}: found ${JSON.stringify(text)}, allowed is a whole number from ${least}`);
}

const given = flags();
const minutes = count("minutes", given.minutes ?? "2", 1);
const seed = count("seed", given.seed ?? "20261122", 0);
const leak = count("leak", given.leak ?? "0", 0);
console.log(`soak: ${minutes} minutes, seed ${seed}`);
if (!hasCalm(minutes)) {
  console.log("soak: no minutes in which workers live, so their growth is not looked for");
}
const stage = await SoakStage.open(leak);
const soak = new Soak({
  stage,
  minutes,
  random: createRandom(seed),
  onMinute: (minute) => console.log(describeMinute(minute)),
});
try {
  await soak.run();
} finally {
  const code = await stage.close();
  if (code !== 0) soak.findings.push(`SIGTERM: exit code ${code}`);
}
for (const finding of soak.findings) console.error(`soak: ${finding}`);
console.log(soak.findings.length === 0 ? "soak: passed" : "soak: failed");
process.exit(soak.findings.length === 0 ? 0 : 1);
