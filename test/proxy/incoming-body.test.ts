import { describe, expect, test } from "bun:test";
import { IncomingBody } from "../../src/proxy/incoming-body.ts";

function create() {
  const told = { wanted: 0, changed: 0 };
  const body = new IncomingBody({
    onWanted: () => void told.wanted++,
    onChanged: () => void told.changed++,
  });
  return { body, told };
}

const bytes = (text: string): Uint8Array => Buffer.from(text);

describe("a request's body", () => {
  test("holds its client back while a piece waits for the reader, and not after the last one", async () => {
    const { body, told } = create();
    body.push(bytes("a"), false);
    expect([body.held, body.ended, told.wanted]).toEqual([true, false, 0]);
    expect(Buffer.from((await body.read()) ?? []).toString()).toBe("a");
    expect([body.held, told.wanted]).toEqual([false, 1]);
    const next = body.read();
    body.push(bytes("b"), true);
    expect(Buffer.from((await next) ?? []).toString()).toBe("b");
    expect(await body.read()).toBeNull();
    expect([body.held, body.ended, body.bytes, told.wanted]).toEqual([false, true, 2, 1]);
  });

  test("that breaks off gives what came before, and is never whole", async () => {
    const { body } = create();
    body.push(bytes("a"), false);
    body.fail(new Error("gone"));
    body.push(undefined, true);
    expect(await body.read()).not.toBeNull();
    expect(body.read()).rejects.toThrow("gone");
  });

  test("that nobody wants any more goes on to its end without being held", async () => {
    const { body, told } = create();
    body.push(bytes("a"), false);
    body.cancel();
    body.push(bytes("b"), false);
    expect([body.held, body.ended, told.wanted]).toEqual([false, false, 0]);
    body.push(undefined, true);
    expect(body.ended).toBeTrue();
  });

  test("cancelled while somebody reads ends the read", async () => {
    const { body } = create();
    const reading = body.read();
    body.cancel();
    expect(reading).rejects.toThrow("nobody wants");
  });
});
