/** `leastwise explain`: the request that the flags describe, and what is wrong with them. */
import { describe, expect, test } from "bun:test";
import { readQuestion } from "../../../src/cli/explain/question.ts";
import { ConfigError } from "../../../src/errors.ts";

function bodyOf(flags: Readonly<Record<string, readonly string[]>>) {
  const question = readQuestion(new Map(Object.entries({ url: ["/"], ...flags })));
  if (question.kind !== "request") throw new Error("expected a request");
  return question.body;
}

function problemsOf(flags: Readonly<Record<string, readonly string[]>>): readonly string[] {
  try {
    bodyOf(flags);
  } catch (thrown) {
    if (thrown instanceof ConfigError) {
      return thrown.problems.map(({ path, message }) => `${path}: ${message}`);
    }
    throw thrown;
  }
  return [];
}

describe("the client", () => {
  test.each(["10.0.0.1", "::1", "2001:db8::1"])("may be %s", (client) => {
    expect(bodyOf({ client: [client] }).clientAddress).toBe(client);
  });

  test.each([
    ["nonsense", ""],
    ["10.0.0.256", ""],
    ["fe80::1%eth0", ""],
    ["10.0.0.1:80", '; did you mean "10.0.0.1"?'],
    ["[2001:db8::1]", '; did you mean "2001:db8::1"?'],
    ["[2001:db8::1]:443", '; did you mean "2001:db8::1"?'],
    ["10.0.0.0/8", '; did you mean "10.0.0.0"?'],
    ["http://10.0.0.1/", '; did you mean "10.0.0.1"?'],
    ["localhost", '; did you mean "127.0.0.1"?'],
  ])("is refused when it is no address: %s", (client, hint) => {
    expect(problemsOf({ client: [client] })).toEqual([
      `--client: found ${JSON.stringify(client)}, allowed an IP address such as 192.0.2.1 or 2001:db8::1${hint}`,
    ]);
  });
});

test("a weight goes to the proxy, whatever its backend is called: it knows whether there is one", () => {
  const { weights } = bodyOf({ weight: ["__proto__=3", "constructor=2", "a=b=0.5"] });
  expect(Object.entries(weights ?? {})).toEqual([
    ["__proto__", 3],
    ["constructor", 2],
    ["a=b", 0.5],
  ]);
});
