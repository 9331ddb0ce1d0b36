import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { chooseExcess, type ClientConnection, clientOf } from "../../src/proxy/shedding.ts";

interface Named extends ClientConnection {
  readonly name: string;
}

function connections(...described: string[]): Named[] {
  return described.map((name, since) => {
    const [address = "", state] = name.split(" ");
    return {
      name,
      address,
      busy: state?.startsWith("busy") ?? false,
      trusted: address.startsWith("proxy"),
      since,
    };
  });
}

function closed(open: Named[], total: number, of: Record<string, number> = {}): string[] {
  const excess = { total, of: ({ address }: Named) => of[address] ?? 0 };
  return chooseExcess(open, excess)
    .map(({ name }) => name)
    .sort();
}

describe("of one client", () => {
  test("nothing is closed when nothing is too much", () => {
    expect(closed(connections("a 1", "a 2"), 0)).toEqual([]);
  });

  test("the oldest without a request goes first", () => {
    expect(closed(connections("a busy1", "a old", "a new", "a busy2"), 1)).toEqual(["a old"]);
    expect(closed(connections("a busy1", "a old", "a new", "a busy2"), 0, { a: 3 })).toEqual([
      "a busy1",
      "a new",
      "a old",
    ]);
  });
});

describe("of several clients", () => {
  test("the one with the most pays, and who has few keeps all", () => {
    const open = connections("a 1", "a 2", "a 3", "a 4", "b 1", "b 2", "c new");
    expect(closed(open, 2)).toEqual(["a 1", "a 2"]);
    expect(closed(open, 4)).toEqual(["a 1", "a 2", "a 3", "b 1"]);
  });

  test("a client's requests under way go before the only connection of another", () => {
    expect(closed(connections("a busy1", "a busy2", "b idle"), 1)).toEqual(["a busy1"]);
  });

  test("a trusted proxy keeps its connections as long as others have some", () => {
    const open = connections("proxy 1", "proxy busy", "proxy 3", "a 1", "b 1");
    expect(closed(open, 2)).toEqual(["a 1", "b 1"]);
    expect(closed(open, 3)).toEqual(["a 1", "b 1", "proxy 1"]);
  });

  test("what a client loses by its own limit counts for the total", () => {
    const open = connections("a 1", "a 2", "a 3", "b 1", "b 2");
    expect(closed(open, 2, { a: 2 })).toEqual(["a 1", "a 2"]);
    expect(closed(open, 3, { a: 2 })).toEqual(["a 1", "a 2", "b 1"]);
  });

  test("exactly the excess goes, and nobody ends with more than one above another who lost some", () => {
    const clients = fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 60 });
    fc.assert(
      fc.property(clients, fc.nat(70), (addresses, total) => {
        const open = connections(...addresses.map((address, i) => `${address} ${i}`));
        const gone = new Set(closed(open, total));
        expect(gone.size).toBe(Math.min(total, open.length));
        const left = (address: string) =>
          open.filter((each) => each.address === address && !gone.has(each.name)).length;
        const most = Math.max(...addresses.map(left));
        for (const { address } of open.filter(({ name }) => gone.has(name))) {
          expect(most - left(address)).toBeLessThanOrEqual(1);
        }
      }),
      { seed: 20_261_122 },
    );
  });
});

test.each([
  ["192.0.2.7", "192.0.2.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["::1", "0:0:0:0::/64"],
  ["fe80::", "fe80:0:0:0::/64"],
])("%s counts as %s", (address, client) => {
  expect(clientOf(address)).toBe(client);
});
