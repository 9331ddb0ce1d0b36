import { createRandom } from "./random.ts";

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
  const random = seed === null ? () => 0.5 : createRandom(seed);
  const RealDate = Date;
  class AlteredDate extends RealDate {
    constructor(...values: readonly unknown[]) {
      super(...((values.length === 0 ? [tick()] : values) as [number]));
    }

    static override now(): number {
      return tick();
    }
  }
  const restore = [
    replace(globalThis, "Date", AlteredDate),
    // Where there is such a thing.
    replace(globalThis.process ?? {}, "hrtime", alteredHrtime(tick)),
    replace(performance, "now", () => tick() - START_MS),
    replace(Math, "random", random),
    replace(crypto, "randomUUID", () => fakeUuid(random)),
    replace(crypto, "getRandomValues", (array: ArrayBufferView) => {
      const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
      for (let index = 0; index < bytes.length; index++) bytes[index] = random() * 256;
      return array;
    }),
  ];
  try {
    return run();
  } finally {
    for (const undo of restore) undo();
  }
}

function alteredHrtime(tick: () => number): object {
  const inParts = (): [seconds: number, nanoseconds: number] => {
    const ms = tick() - START_MS;
    return [Math.floor(ms / 1000), (ms % 1000) * 1e6];
  };
  return Object.assign(inParts, { bigint: () => BigInt(tick() - START_MS) * 1_000_000n });
}

/** As an own property, whatever it was before; gives what undoes it. */
function replace(owner: object, name: string, value: unknown): () => void {
  const own = Object.getOwnPropertyDescriptor(owner, name);
  Object.defineProperty(owner, name, { value, configurable: true, writable: true });
  return () => {
    if (own === undefined) Reflect.deleteProperty(owner, name);
    else Object.defineProperty(owner, name, own);
  };
}

function fakeUuid(random: () => number): string {
  const digits = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16)).join("");
  return digits.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, "$1-$2-4$3-8$4$5");
}
