import { expect, test } from "bun:test";
import { isPrivateAddress } from "../../src/telemetry/private-address.ts";

test.each([
  "127.0.0.1",
  "127.255.255.255",
  "10.0.0.0",
  "10.255.255.255",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.1.1",
  "169.254.1.1",
  "::1",
  "0:0:0:0:0:0:0:1",
  "fc00::1",
  "fdff:ffff::",
  "FE80::1",
  "fe80::1%eth0",
  "::ffff:127.0.0.1",
  "::ffff:a00:1",
  "::ffff:172.20.0.1",
])("%s is private", (address) => {
  expect(isPrivateAddress(address)).toBe(true);
});

test.each([
  "8.8.8.8",
  "11.0.0.1",
  "128.0.0.1",
  "172.15.255.255",
  "172.32.0.0",
  "192.169.0.1",
  "100.64.0.1",
  "0.0.0.0",
  "::",
  "2001:db8::1",
  "fec0::1",
  "fb00::1",
  "::ffff:8.8.8.8",
  "::ffff:0808:0808",
  "::127.0.0.1",
  "1::ffff:127.0.0.1",
])("%s is not private", (address) => {
  expect(isPrivateAddress(address)).toBe(false);
});

test.each([
  "",
  "localhost",
  "10.0.0",
  "10.0.0.256",
  "10.0.0.1.evil.example",
  "010.0.0.1x",
  "fd00",
  "fd00:::1",
  "fd00::1::2",
  "1:2:3:4:5:6:7:8:9",
  "::ffff:10.0.0.999",
  "fd00::g",
])("%p is no address, so not private", (text) => {
  expect(isPrivateAddress(text)).toBe(false);
});
