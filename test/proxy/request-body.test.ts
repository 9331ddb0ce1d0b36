import { describe, expect, test } from "bun:test";
import { RequestBody } from "../../src/proxy/request-body.ts";
import { HandFedReader, readAll } from "../_support/byte-reader.ts";

function body(source: HandFedReader, maxBytes = 1_000_000): RequestBody {
  return new RequestBody(source, maxBytes);
}

describe("the body of a request", () => {
  test("is read once when one attempt is enough", async () => {
    const source = new HandFedReader().feed("he", "llo", null);
    expect(await readAll(body(source).pass())).toBe("hello");
    expect(source.reads).toBe(3);
  });

  test("is given whole to a second attempt, byte for byte", async () => {
    const source = new HandFedReader().feed("he", "llo", null);
    const request = body(source);
    expect(await readAll(request.pass())).toBe("hello");
    expect(await readAll(request.pass())).toBe("hello");
    expect(source.reads).toBe(3);
  });

  test("a second attempt takes over a read that the first one was waiting for", async () => {
    const source = new HandFedReader().feed("he");
    const request = body(source);
    const first = request.pass();
    await first.read();
    const unwanted = first.read();
    const second = request.pass();
    source.feed("llo", null);
    await unwanted;
    expect(await readAll(second)).toBe("hello");
  });

  test("a piece too large to keep still reaches the attempt that began before it", async () => {
    const large = "x".repeat(70_000);
    const source = new HandFedReader().feed("he");
    const request = body(source);
    const first = request.pass();
    await first.read();
    const unwanted = first.read();
    const second = request.pass();
    source.feed(large, null);
    await unwanted;
    expect(request.replayable).toBeFalse();
    expect(await readAll(second)).toBe(`he${large}`);
  });

  test("is not replayable beyond 64 KiB", async () => {
    const source = new HandFedReader().feed("x".repeat(65_536), "y", null);
    const request = body(source);
    const pass = request.pass();
    await pass.read();
    expect(request.replayable).toBeTrue();
    await pass.read();
    expect(request.replayable).toBeFalse();
    expect(() => request.pass()).toThrow();
  });

  test("one byte above the limit is refused", async () => {
    const source = new HandFedReader().feed("12345", "6", null);
    const pass = body(source, 5).pass();
    await pass.read();
    expect(pass.read()).rejects.toMatchObject({ code: "body_too_large" });
  });

  test("that breaks off is the client's doing", async () => {
    const source = new HandFedReader().feed(new Error("aborted"));
    expect(body(source).pass().read()).rejects.toMatchObject({
      code: "client_gone",
      source: "client",
    });
  });
});
