import { createRandom } from "./random.ts";
import { makeSwitchable, switchGlobals } from "./switchable-globals.ts";

/** What a strategy finds when it does not take clock and randomness from its env. */
export interface Surroundings {
  /** Milliseconds by which every look at the clock finds it later. */
  readonly stepMs: number;
  /** Null: every draw is 0.5. */
  readonly seed: number | null;
}

/** Some day in 2024. */
const START_MS = 1_720_000_000_000;

/**
 * Calls `run` with a clock and randomness of our making in the place of the runtime's, so that a
 * strategy that uses them gives itself away, and does so every time. Puts everything back.
 */
export function withSurroundings<T>({ stepMs, seed }: Surroundings, run: () => T): T {
  let nowMs = START_MS;
  const tick = (): number => (nowMs += stepMs);
  const sinceStart = (): number => tick() - START_MS;
  const random = seed === null ? () => 0.5 : createRandom(seed);
  const putBack = makeSwitchable();
  const switchBack = switchGlobals({
    Date: tick,
    "Date.now": tick,
    "performance.now": sinceStart,
    "process.hrtime": (since) => inParts(sinceStart(), since),
    "process.hrtime.bigint": () => BigInt(sinceStart()) * 1_000_000n,
    "Bun.nanoseconds": () => sinceStart() * 1e6,
    "Math.random": random,
    "crypto.randomUUID": () => fakeUuid(random),
    "crypto.getRandomValues": (array) => fill(array as ArrayBufferView, random),
  });
  try {
    return run();
  } finally {
    switchBack();
    putBack();
  }
}

/** As `process.hrtime` gives them; `since` is an earlier one. */
function inParts(ms: number, since: unknown): [seconds: number, nanoseconds: number] {
  const [seconds, nanoseconds] = Array.isArray(since) ? (since as number[]) : [];
  const passedMs = ms - (seconds ?? 0) * 1000 - (nanoseconds ?? 0) / 1e6;
  const whole = Math.floor(passedMs / 1000);
  return [whole, Math.round((passedMs - whole * 1000) * 1e6)];
}

function fill(array: ArrayBufferView, random: () => number): ArrayBufferView {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  for (let index = 0; index < bytes.length; index++) bytes[index] = random() * 256;
  return array;
}

function fakeUuid(random: () => number): string {
  const digits = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16)).join("");
  return digits.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, "$1-$2-4$3-8$4$5");
}
