import { expect, test } from "bun:test";
import { ListenAddresses } from "../../src/process/listen-addresses.ts";
import { probeAddress } from "../../src/process/ports.ts";

const hostname = "127.0.0.1";
const any = { hostname, port: 0 };

/** All but one in ten. */
const PROMISED = Array.from({ length: 65_536 }, (_, port) => ({ hostname, port })).filter(
  ({ port }) => port % 10 !== 7,
);

test("a free port is none that was found before and is not bound yet", async () => {
  for (let i = 0; i < 5; i++) {
    const found = await probeAddress(any, "the test", PROMISED);
    if ("unix" in found) throw new Error("a port was asked for");
    expect(found.port % 10).toBe(7);
  }
});

test("two addresses with any port have two ports", async () => {
  // The kernel may give each of so many out twice.
  const listen = Array.from({ length: 2000 }, () => ({ address: any }));
  const { listen: found } = await new ListenAddresses().find(listen);
  expect(new Set(found.map(({ address }) => JSON.stringify(address))).size).toBe(listen.length);
});
