import { expect, test } from "bun:test";
import {
  createRedactor,
  redactTarget,
  redactUrl,
  withoutUser,
} from "../../src/telemetry/redact.ts";

const redactQuery = createRedactor([]);

test.each([
  ["", ""],
  ["a=1&b=2", "a=1&b=2"],
  ["signal=1&design=2", "signal=1&design=2"],
  ["sig=abc", "sig=REDACTED"],
  ["a=1&sig=abc&b=2", "a=1&sig=REDACTED&b=2"],
  ["X-Amz-Credential=k%2F1", "X-Amz-Credential=REDACTED"],
  ["x-amz-security-token=t", "x-amz-security-token=REDACTED"],
  ["X-Goog-Signature=s&X-Amz-Signature=t", "X-Goog-Signature=REDACTED&X-Amz-Signature=REDACTED"],
  ["%73ig=abc", "%73ig=REDACTED"],
  ["sig=a=b", "sig=REDACTED"],
  ["sig", "sig"],
  ["%zz=1&sig=2", "%zz=1&sig=REDACTED"],
])("query %p becomes %p", (query, redacted) => {
  expect(redactQuery(query)).toBe(redacted);
});

test.each([
  ["token[]=SECRET", "token[]=REDACTED"],
  ["token%5B0%5D=SECRET", "token%5B0%5D=REDACTED"],
  ["user[Token]=SECRET&a=1", "user[Token]=REDACTED&a=1"],
  ["a;token=SECRET", "a;token=REDACTED"],
  ["a=1;token=SECRET;more&b=2", "a=1;token=REDACTED&b=2"],
  ["token=SECRET;SECRET", "token=REDACTED"],
  ["token=SECRET?SECRET", "token=REDACTED"],
  ["+token=SECRET", "+token=REDACTED"],
  ["%20token+=SECRET", "%20token+=REDACTED"],
  ["token%00=SECRET", "token%00=REDACTED"],
  ["token%ff=1", "token%ff=1"],
  ["%ff%20token=SECRET", "%ff%20token=REDACTED"],
  ["%2574oken=SECRET", "%2574oken=REDACTED"],
  ["a?token=SECRET", "a?token=REDACTED"],
  ["next=/cb?token=SECRET", "next=/cb?token=REDACTED"],
  ["a.b=SECRET&axb=1", "a.b=REDACTED&axb=1"],
  ["my[key]=SECRET&key=1", "my[key]=REDACTED&key=1"],
  ["tokens=1&token-a=2&atoken=3", "tokens=1&token-a=2&atoken=3"],
  ["sig=SECRET", "sig=REDACTED"],
])("with further keys %p becomes %p", (query, redacted) => {
  expect(createRedactor(["token", "a.b", "my[key]"])(query)).toBe(redacted);
});

test.each([
  ["https://u:SECRET@shop.example/x", "https://shop.example/x"],
  ["https://u:S@CRET@shop.example:81", "https://shop.example:81"],
  ["u:SECRET@shop.example/x", "shop.example/x"],
  ["//u@shop.example/x@y", "//shop.example/x@y"],
  ["https://shop.example/x@y?z@w", "https://shop.example/x@y?z@w"],
  ["https://shop.example/x?a=1&sig=SECRET#b", "https://shop.example/x?a=1&sig=REDACTED"],
  ["https://shop.example/x#sig=SECRET", "https://shop.example/x#sig=REDACTED"],
  ["", ""],
])("URL %p becomes %p", (url, redacted) => {
  expect(redactUrl(url, redactQuery)).toBe(redacted);
});

test("a Host field loses what stands before its last @", () => {
  expect(withoutUser("u:SECRET@shop.example:81")).toBe("shop.example:81");
  expect(withoutUser("shop.example")).toBe("shop.example");
});

test("only what follows the ? of a target is looked at", () => {
  expect(redactTarget("/sig=1/x", redactQuery)).toBe("/sig=1/x");
  expect(redactTarget("/x?sig=1", redactQuery)).toBe("/x?sig=REDACTED");
  expect(redactTarget("/x?", redactQuery)).toBe("/x?");
});

test.each([
  ["a.b=1&TOKEN=2&sig=3", "a.b=REDACTED&TOKEN=REDACTED&sig=REDACTED"],
  ["aXb=1&t%6fken=2", "aXb=1&t%6fken=REDACTED"],
  ["item=7", "item=7"],
])("with keys of one's own %p becomes %p", (query, redacted) => {
  expect(createRedactor(["a.b", "token"])(query)).toBe(redacted);
});

test("users and passwords are taken out of what names a host", () => {
  expect(withoutUser("shop.example:80")).toBe("shop.example:80");
  expect(withoutUser("me:s3cr@t@shop.example:80")).toBe("shop.example:80");
  const url = "https://me:s3cret@shop.example/a@b?sig=1&c=d@e";
  expect(redactUrl(url, redactQuery)).toBe("https://shop.example/a@b?sig=REDACTED&c=d@e");
  expect(redactUrl("/a@b", redactQuery)).toBe("/a@b");
});
