import { describe, expect, test } from "bun:test";
import { collectBody } from "../../src/proxy/response-body.ts";
import type { ByteReader } from "../../src/transport/byte-reader.ts";
import { HandFedReader, readAll } from "../_support/byte-reader.ts";

describe("collecting a response body", () => {
  test("gives it whole when it comes without a pause", async () => {
    const source = new HandFedReader().feed("he", "llo", null);
    const body = await collectBody(source, () => 0);
    expect(Buffer.from(body as Uint8Array).toString()).toBe("hello");
  });

  test("streams one that pauses, from its first byte on", async () => {
    const source = new HandFedReader().feed("he");
    const body = (await collectBody(source, () => 0)) as ByteReader;
    source.feed("l", "lo", null);
    expect(await readAll(body)).toBe("hello");
  });

  test("streams one that drips for too long, from its first byte on", async () => {
    const source = new HandFedReader();
    let nowMs = 0;
    const collecting = collectBody(source, () => (nowMs += 300));
    source.feed("a", "b", "c", "d", "e", null);
    expect(await readAll((await collecting) as ByteReader)).toBe("abcde");
  });

  test("rejects when it breaks, so that the client can still be told", async () => {
    const source = new HandFedReader().feed("he", new Error("broken"));
    expect(collectBody(source, () => 0)).rejects.toThrow("broken");
  });

  test("passes a later break on, and a cancel", async () => {
    const source = new HandFedReader().feed("he");
    const body = (await collectBody(source, () => 0)) as ByteReader;
    expect(Buffer.from((await body.read()) ?? []).toString()).toBe("he");
    source.feed(new Error("broken"));
    expect(body.read()).rejects.toThrow("broken");
    body.cancel();
    expect(source.cancelled).toBeTrue();
  });
});
