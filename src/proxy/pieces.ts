import type { ByteReader } from "../transport/byte-reader.ts";

/** As much as the kernel takes ahead of a slow reader. */
const PIECE_BYTES = 128 * 1024;

/**
 * The same bytes, never many at once: Bun asks for more only when all of the last piece has gone to the kernel, and
 * how long that takes is how we tell a slow reader from one that stopped. A backend's socket hands out up to 512 KiB.
 */
export function inPieces(body: ByteReader): ByteReader {
  let rest: Uint8Array | null = null;
  return {
    async read() {
      const bytes = rest ?? (await body.read());
      if (bytes === null || bytes.length <= PIECE_BYTES) {
        rest = null;
        return bytes;
      }
      rest = bytes.subarray(PIECE_BYTES);
      return bytes.subarray(0, PIECE_BYTES);
    },
    cancel() {
      rest = null;
      body.cancel();
    },
  };
}
