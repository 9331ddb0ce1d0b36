import { expect, test } from "bun:test";
import { redactQuery, redactTarget } from "../../src/telemetry/redact.ts";

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

test("only what follows the ? of a target is looked at", () => {
  expect(redactTarget("/sig=1/x")).toBe("/sig=1/x");
  expect(redactTarget("/x?sig=1")).toBe("/x?sig=REDACTED");
  expect(redactTarget("/x?")).toBe("/x?");
});
