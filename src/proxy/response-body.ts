/** How a backend's response body reaches the client: whole with its length, or streamed. */
import type { ByteReader } from "../transport/byte-reader.ts";

/** A body that pauses longer than this while it is collected is streamed instead. */
const PAUSE_MS = 40;
/** And one that is not whole after this time. */
const COLLECT_MS = 1000;

/**
 * Collects a body of known length, so that it keeps its Content-Length: Bun.serve drops the length
 * of whatever it streams (oven-sh/bun 10507). A body that comes slowly is not held back: the result
 * is then a reader that begins with what has arrived. `now` is monotonic milliseconds.
 *
 * Rejects when the body breaks while it is collected.
 */
export async function collectBody(
  body: ByteReader,
  now: () => number,
): Promise<Uint8Array | ByteReader> {
  const deadlineMs = now() + COLLECT_MS;
  const pieces: Uint8Array[] = [];
  for (;;) {
    const reading = body.read();
    const leftMs = deadlineMs - now();
    const piece = leftMs > 0 ? await within(Math.min(PAUSE_MS, leftMs), reading) : PAUSED;
    if (piece === PAUSED) return startingWith(pieces, reading, body);
    if (piece === null) return Buffer.concat(pieces);
    pieces.push(piece);
  }
}

const PAUSED = Symbol("paused");

async function within<T>(waitMs: number, reading: Promise<T>): Promise<T | typeof PAUSED> {
  const { promise, resolve } = Promise.withResolvers<typeof PAUSED>();
  const timer = setTimeout(() => resolve(PAUSED), waitMs);
  try {
    return await Promise.race([reading, promise]);
  } finally {
    clearTimeout(timer);
  }
}

function startingWith(
  pieces: Uint8Array[],
  reading: Promise<Uint8Array | null>,
  body: ByteReader,
): ByteReader {
  // Until the client's side asks for it, a broken read must not count as unhandled.
  reading.catch(() => {});
  let pending: Promise<Uint8Array | null> | null = reading;
  return {
    read() {
      const piece = pieces.shift();
      if (piece !== undefined) return Promise.resolve(piece);
      const first = pending;
      pending = null;
      return first ?? body.read();
    },
    cancel: () => body.cancel(),
  };
}
