import { describe, expect, test } from "bun:test";
import { parseTrustedProxy } from "../../src/config/trusted-proxy.ts";
import {
  createTrust,
  findClientAddress,
  type Trust,
  withoutMapping,
} from "../../src/proxy/client-address.ts";

function trust(...proxies: string[]): Trust {
  return createTrust(
    proxies.map((text) => {
      const parsed = parseTrustedProxy(text);
      if ("value" in parsed) return parsed.value;
      throw new Error(`${text}: ${parsed.allowed}`);
    }),
  );
}

describe("trust", () => {
  const isTrusted = trust("10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1");

  test.each(["10.255.0.1", "192.0.2.1", "2001:db8:5::1", "::1"])("%s is trusted", (address) => {
    expect(isTrusted(address)).toBe(true);
  });

  test.each(["11.0.0.1", "192.0.2.2", "2001:db9::1", "::2", "", "10.0.0", "unix"])(
    "%j is not",
    (address) => {
      expect(isTrusted(address)).toBe(false);
    },
  );

  test("a unix socket's peer is trusted when unix is listed, and then alone", () => {
    expect(trust("unix")("")).toBe(true);
    expect(trust("unix")("127.0.0.1")).toBe(false);
    expect(trust()("")).toBe(false);
  });

  test("an IPv4 peer of an IPv6 listener is that IPv4 address", () => {
    expect(withoutMapping("::ffff:10.0.0.1")).toBe("10.0.0.1");
    expect(withoutMapping("2001:db8::ffff:1")).toBe("2001:db8::ffff:1");
  });
});

describe("the client's address", () => {
  const isTrusted = trust("10.0.0.0/8", "::1");
  const from = (forwardedFor: string | null, peer = "10.0.0.9") =>
    findClientAddress(peer, forwardedFor, isTrusted);

  test.each([
    ["one hop", "192.0.2.7", "192.0.2.7"],
    ["a made-up beginning", "1.1.1.1, 192.0.2.7", "192.0.2.7"],
    ["trusted hops after it", "1.1.1.1,192.0.2.7 ,\t10.0.0.1, ::1", "192.0.2.7"],
    ["a port", "192.0.2.7:4711", "192.0.2.7"],
    ["IPv6", "2001:db8::7", "2001:db8::7"],
    ["IPv6 in brackets", "[2001:db8::7]", "2001:db8::7"],
    ["IPv6 with a port", "[2001:db8::7]:443", "2001:db8::7"],
    ["IPv4 inside IPv6", "::ffff:192.0.2.7, ::ffff:10.0.0.1", "192.0.2.7"],
    ["garbage further left", "<script>, 192.0.2.7", "192.0.2.7"],
  ])("behind a trusted peer, with %s", (_what, forwardedFor, expected) => {
    expect(from(forwardedFor)).toBe(expected);
  });

  test.each([
    ["no field", null],
    ["an empty field", ""],
    ["only commas", ",,,"],
    ["nothing but trusted addresses", "10.0.0.1, 10.0.0.2"],
    ["garbage before the first address", "192.0.2.7, unknown, 10.0.0.1"],
    ["an empty entry", "192.0.2.7,"],
    ["a zone", "fe80::1%eth0"],
    ["IPv4 in brackets", "[192.0.2.7]"],
    ["leading zeros", "192.0.2.07"],
  ])("is the peer's with %s", (_what, forwardedFor) => {
    expect(from(forwardedFor)).toBe("10.0.0.9");
  });

  test("is the peer's when the peer is not trusted", () => {
    expect(from("1.1.1.1", "203.0.113.5")).toBe("203.0.113.5");
    expect(from("1.1.1.1", "")).toBe("");
  });

  test("costs a bounded number of looks, however long the field is", () => {
    let looks = 0;
    const counting: Trust = (address) => {
      looks++;
      return isTrusted(address);
    };
    const field = `192.0.2.7${", 10.0.0.1".repeat(1000)}`;
    expect(findClientAddress("10.0.0.9", field, counting)).toBe("10.0.0.9");
    expect(looks).toBeLessThanOrEqual(65);
    expect(findClientAddress("10.0.0.9", "x".repeat(10_000), counting)).toBe("10.0.0.9");
  });
});
