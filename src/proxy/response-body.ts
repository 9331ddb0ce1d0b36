/** How a backend's response body reaches the client: whole with its length, or streamed. */
import type { ByteReader } from "../transport/byte-reader.ts";

/** A body that pauses longer than this while it is collected is streamed instead. */
const PAUSE_MS = 40;
/** And one that paused, for a shorter time, this often: a second at most. */
const MAX_PAUSES = 25;

/**
 * Collects a body of known length, so that it keeps its Content-Length: Bun.serve drops the length
 * of whatever it streams (oven-sh/bun 10507). A body that comes slowly is not held back: the result
 * is then a reader that begins with what has arrived.
 *
 * Rejects when the body breaks while it is collected.
 */
export async function collectBody(body: ByteReader): Promise<Uint8Array | ByteReader> {
  const pieces: Uint8Array[] = [];
  for (let pauses = 0; ;) {
    const reading = body.read();
    let piece = await Promise.race([reading, afterMicrotasks()]);
    if (piece === PAUSED && pauses++ < MAX_PAUSES) piece = await withinPause(reading);
    if (piece === PAUSED) return startingWith(pieces, reading, body);
    if (piece === null) break;
    pieces.push(piece);
  }
  return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
}

const PAUSED = Symbol("paused");

/** What came with the head settles within a few microtasks: no timer for those. */
async function afterMicrotasks(): Promise<typeof PAUSED> {
  for (let i = 0; i < 4; i++) await undefined;
  return PAUSED;
}

async function withinPause<T>(reading: Promise<T>): Promise<T | typeof PAUSED> {
  const { promise, resolve } = Promise.withResolvers<typeof PAUSED>();
  const timer = setTimeout(() => resolve(PAUSED), PAUSE_MS);
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
