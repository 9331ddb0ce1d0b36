import { afterEach, describe, expect, test } from "bun:test";
import { ListenAddresses } from "../../src/process/listen-addresses.ts";

const hostname = "127.0.0.1";
const holding: { stop(closeAll: boolean): void }[] = [];

afterEach(() => {
  for (const each of holding.splice(0)) each.stop(true);
});

/** Somebody who listens, on a free port when none is given. */
function hold(port = 0) {
  const listener = Bun.listen({ hostname, port, socket: { data() {} } });
  holding.push(listener);
  return listener;
}

function freePort(): number {
  const listener = hold();
  listener.stop(true);
  return listener.port;
}

describe("an address", () => {
  test("that comes back while our own workers still close it is waited for", async () => {
    const addresses = new ListenAddresses();
    const listen = [{ address: { hostname, port: freePort() } }];
    const first = await addresses.find(listen);
    first.commit();
    const worker = hold(listen[0]?.address.port);
    (await addresses.find([])).commit();
    const found = addresses.find(listen);
    expect(await Promise.race([found.then(() => "found"), Bun.sleep(50)])).toBeUndefined();
    worker.stop(true);
    expect((await found).listen).toEqual(listen);
  });

  test("that comes back and is another program's by then is refused", async () => {
    const addresses = new ListenAddresses();
    const listen = [{ address: { hostname, port: freePort() } }];
    (await addresses.find(listen)).commit();
    (await addresses.find([])).commit();
    hold(listen[0]?.address.port);
    await expect(addresses.find(listen)).rejects.toThrow("is taken by another program");
  });

  test("that another program has is refused at once", async () => {
    const addresses = new ListenAddresses();
    const { port } = hold();
    await expect(addresses.find([{ address: { hostname, port } }])).rejects.toThrow(
      "is taken by another program",
    );
  });
});
