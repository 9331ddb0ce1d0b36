import { describe, expect, test } from "bun:test";
import { inPieces } from "../../src/proxy/pieces.ts";
import { PiecesReader } from "../_support/transport.ts";

const KIB = 1024;

describe("a body in pieces", () => {
  test("has the same bytes in the same order, none of the pieces large or empty", async () => {
    const bytes = Buffer.from(Array.from({ length: 300 * KIB }, (_, index) => index % 251));
    const body = inPieces(new PiecesReader(["small", bytes, bytes.subarray(0, 128 * KIB), "end"]));
    const pieces: Uint8Array[] = [];
    for (let piece = await body.read(); piece !== null; piece = await body.read()) {
      pieces.push(piece);
    }
    expect(pieces.map(({ length }) => length)).toEqual([
      5,
      128 * KIB,
      128 * KIB,
      44 * KIB,
      128 * KIB,
      3,
    ]);
    expect(
      Buffer.concat(pieces).equals(
        Buffer.concat([
          Buffer.from("small"),
          bytes,
          bytes.subarray(0, 128 * KIB),
          Buffer.from("end"),
        ]),
      ),
    ).toBe(true);
  });

  test("breaks where the body breaks, and passes a cancellation on", async () => {
    const broken = inPieces(new PiecesReader(["begun", new Error("broken")]));
    expect(Buffer.from((await broken.read()) ?? []).toString()).toBe("begun");
    await expect(broken.read()).rejects.toThrow("broken");
    const source = new PiecesReader([new Uint8Array(300 * KIB)]);
    const cancelled = inPieces(source);
    await cancelled.read();
    cancelled.cancel();
    expect(source.cancelled).toBe(true);
    expect(await cancelled.read()).toBeNull();
  });
});
