/** What the C library tells about sockets, over each kind of address. */
import { afterAll, describe, expect, test } from "bun:test";
import type { Socket, TCPSocketListener } from "bun";
import { readDescriptors } from "../../src/process/descriptors.ts";
import { openSocketCalls } from "../../src/transport/socket-calls.ts";

const open: { stop(force: boolean): void }[] = [];

afterAll(() => {
  for (const listener of open) listener.stop(true);
});

function descriptorOf(socket: Socket | TCPSocketListener): number {
  return (socket as unknown as { readonly fd: number }).fd;
}

async function connected(listen: string, dial: string) {
  const accepted = Promise.withResolvers<Socket>();
  const listener = Bun.listen({
    hostname: listen,
    port: 0,
    socket: { open: (socket) => accepted.resolve(socket), data() {} },
  });
  open.push(listener);
  const { port } = listener;
  const closed = Promise.withResolvers<void>();
  const client = await Bun.connect({
    hostname: dial,
    port,
    socket: { data() {}, close: () => closed.resolve() },
  });
  return { listener, client, server: await accepted.promise, port, closed: closed.promise };
}

// Elsewhere there are none: the constants are those of Linux.
describe.skipIf(process.platform !== "linux")("socket calls", () => {
  const calls = openSocketCalls();
  if (calls === null) throw new Error("no socket calls on Linux");

  test.each([
    ["127.0.0.1", "127.0.0.1", "127.0.0.1"],
    ["::1", "::1", "::1"],
    ["::", "127.0.0.1", "127.0.0.1"],
    ["0.0.0.0", "127.0.0.1", "127.0.0.1"],
  ])("a listener on %s reached at %s has both ends at %s", async (listen, dial, address) => {
    const { client, server, port } = await connected(listen, dial);
    expect(calls.local(descriptorOf(server))).toMatchObject({ address, port });
    expect(calls.peer(descriptorOf(client))).toMatchObject({ address, port });
    expect(calls.peer(descriptorOf(server))).toMatchObject({ address, port: client.localPort });
  });

  test("an end that is still the same is the same object", async () => {
    const { client, server } = await connected("127.0.0.1", "127.0.0.1");
    const peer = calls.peer(descriptorOf(server));
    expect(calls.peer(descriptorOf(server), peer ?? undefined)).toBe(peer);
    expect(calls.peer(descriptorOf(client), peer ?? undefined)).not.toBe(peer);
  });

  test("what is no TCP connection has no other end", async () => {
    const { listener } = await connected("127.0.0.1", "127.0.0.1");
    expect(calls.peer(descriptorOf(listener))).toBeNull();
    expect(calls.peer(0)).toBeNull();
    expect(calls.local(1_000_000)).toBeNull();
  });

  test("only a listener listens", async () => {
    const { listener, client } = await connected("127.0.0.1", "127.0.0.1");
    expect(calls.isListening(descriptorOf(listener))).toBe(true);
    expect(calls.isListening(descriptorOf(client))).toBe(false);
  });

  test("a socket that is shut down is closed by Bun, on both sides", async () => {
    const { client, server, closed } = await connected("127.0.0.1", "127.0.0.1");
    expect(readDescriptors().list()).toContain(descriptorOf(server));
    calls.shutdown(descriptorOf(server));
    await closed;
    expect(client.readyState).not.toBe(1);
  });
});
