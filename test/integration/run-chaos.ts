/** The chaos test for as long as you like: `bun run chaos --seconds 600 --seed 7`. Defaults: 60 s, the suite's seed. */
import { parseArgs } from "node:util";

const USAGE = "usage: bun run chaos [--seconds N] [--seed N]";

function fail(message: string): never {
  console.error(`${message}\n${USAGE}`);
  process.exit(2);
}

function flags(): { seconds?: string | undefined; seed?: string | undefined } {
  try {
    const text = { type: "string" } as const;
    return parseArgs({ options: { seconds: text, seed: text } }).values;
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function count(name: string, text: string, least: number): string {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value) && value >= least) return text;
  return fail(`--${name}: found ${JSON.stringify(text)}, allowed is a whole number from ${least}`);
}

const { seconds = "60", seed } = flags();
const { exited } = Bun.spawn([process.execPath, "test", `${import.meta.dir}/chaos.test.ts`], {
  env: {
    ...process.env,
    CHAOS_SECONDS: count("seconds", seconds, 1),
    ...(seed === undefined ? {} : { CHAOS_SEED: count("seed", seed, 0) }),
  },
  stdio: ["ignore", "inherit", "inherit"],
});
process.exit(await exited);
