import { expect, test } from "bun:test";
import { authorityOf, formatAddress, isLoopback, parseAddress } from "../../src/config/address.ts";
import type { SocketAddress } from "../../src/config/config.ts";

function parsed(text: string): SocketAddress {
  const result = parseAddress(text);
  if (!("value" in result)) throw new Error(`${text} is not an address`);
  return result.value;
}

test.each(["0.0.0.0:8080", "localhost:0", "[::1]:8080", "unix:/run/leastwise.sock"])(
  "%s is read and written back",
  (text) => {
    expect(formatAddress(parsed(text))).toBe(text);
  },
);

test.each([
  "8080",
  ":8080",
  "host",
  "host:",
  "host:http",
  "host:65536",
  "::1:8080",
  "http://host:80",
  "host:80/path",
  "unix:relative.sock",
])("%s is no address", (text) => {
  expect(parseAddress(text)).not.toHaveProperty("value");
});

test("what only this machine can reach", () => {
  const loopback = ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "unix:/x"];
  const open = ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "127.example.com:1"];
  expect(loopback.map((text) => isLoopback(parsed(text)))).toEqual(loopback.map(() => true));
  expect(open.map((text) => isLoopback(parsed(text)))).toEqual(open.map(() => false));
});

test.each([
  ["10.0.0.1:3000", "10.0.0.1:3000"],
  ["10.0.0.1:80", "10.0.0.1"],
  ["[2001:db8::1]:3000", "[2001:db8::1]:3000"],
  ["[2001:db8::1]:80", "[2001:db8::1]"],
  ["unix:/run/app.sock", "localhost"],
])("%s is addressed as %s", (text, host) => {
  expect(authorityOf(parsed(text))).toBe(host);
});
