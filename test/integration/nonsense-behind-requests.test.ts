/**
 * A client sends nonsense behind a request whose answer is on its way. The runtime answers that with a
 * 400 of its own, into the middle of our answer: it must never pass for a part of its body.
 */
import { expect, test } from "bun:test";
import { startFakeBackend } from "../_support/fake-backend.ts";
import type { Proxy } from "../_support/proxy.ts";
import { connectRaw } from "../_support/raw-client.ts";
import { useSharedProxy } from "../_support/shared-proxy.ts";

const LENGTH = 100_000;
const NONSENSE = "\x00\x01 no request \r\n\r\n";

const backend = startFakeBackend();
let proxy: Proxy;

useSharedProxy(backend, { ejection: false }, (started) => {
  proxy = started;
});

/** What the client got of the body when the nonsense came while that much of it was still missing. */
async function bodyWith(missing: number): Promise<string> {
  const goOn = Promise.withResolvers<void>();
  backend.handler = (_request, wire) => {
    void (async () => {
      const head = `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${LENGTH}\r\n\r\n`;
      await wire.write(head + "a".repeat(LENGTH - missing));
      await goOn.promise;
      await wire.write("a".repeat(missing));
      wire.fin();
    })();
    return null;
  };
  const client = await connectRaw(proxy.port);
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await client.until((text) => text.split("a").length > LENGTH - missing);
  client.send(NONSENSE);
  // Whatever the nonsense does, another client's request is answered after it.
  const other = await connectRaw(proxy.port);
  other.send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n");
  await other.closed;
  goOn.resolve();
  await client.closed;
  const received = client.received();
  return received.slice(received.indexOf("\r\n\r\n") + 4);
}

test.each([1, 50, 96])("with %d bytes missing, the answer is whole first", async (missing) => {
  expect((await bodyWith(missing)).slice(0, LENGTH)).toBe("a".repeat(LENGTH));
});

test.each([97, 1000, 50_000])("with %d bytes missing, the answer is short", async (missing) => {
  const body = await bodyWith(missing);
  expect(body).toStartWith(`${"a".repeat(LENGTH - missing)}HTTP/1.1 400 `);
  expect(body.length).toBeLessThan(LENGTH);
});
