import { describe, expect, test } from "bun:test";
import {
  countsAsFailure,
  decideNextStep,
  type FailedAttempt,
  isIdempotent,
} from "../../src/balance/attempts.ts";
import type { RetryConfig } from "../../src/config/config.ts";
import type { ErrorCode } from "../../src/errors.ts";
import { TransportError, type TransportErrorFacts } from "../../src/transport/transport-error.ts";

const RETRY: RetryConfig = { attempts: 2, budget: 0.2, on: ["connect", "reset"] };
const failure = (code: ErrorCode, facts: TransportErrorFacts) =>
  new TransportError(code, "it failed", facts);
const refused = failure("connect_refused", { outcome: "connect", retry: "always" });
const reset = failure("reset", { outcome: "reset", retry: "idempotent" });
const stale = failure("reset", { outcome: "reset", retry: "idempotent", stale: true });
const timeout = failure("first_byte_timeout", { outcome: "timeout", retry: "idempotent" });
const garbage = failure("bad_response", { outcome: "invalid", retry: "idempotent" });

let asked = 0;
const generous = { tryRetry: () => (asked++, true) };
const spent = { tryRetry: () => false };

function next(change: Partial<FailedAttempt> & Pick<FailedAttempt, "failure">) {
  asked = 0;
  return decideNextStep({
    method: "GET",
    bodyReplayable: true,
    attempts: 1,
    reconnected: false,
    retry: RETRY,
    budget: generous,
    ...change,
  });
}

describe("after a failure to connect", () => {
  test("any method moves on, however many attempts there were, and spends no budget", () => {
    for (const method of ["GET", "POST", "PATCH"]) {
      expect(next({ failure: refused, method, attempts: 9, budget: spent })).toBe("next");
    }
    next({ failure: refused });
    expect(asked).toBe(0);
  });

  test("it stops when retries are off or do not include it", () => {
    expect(next({ failure: refused, retry: null })).toBe("stop");
    expect(next({ failure: refused, retry: { ...RETRY, on: ["reset"] } })).toBe("stop");
  });
});

describe("after something was sent", () => {
  test("an idempotent request is retried within its attempts", () => {
    expect(next({ failure: reset })).toBe("retry");
    expect(asked).toBe(1);
    expect(next({ failure: reset, attempts: 2 })).toBe("stop");
    expect(next({ failure: reset, attempts: 2, retry: { ...RETRY, attempts: 3 } })).toBe("retry");
  });

  test("a POST is not repeated, nor a request whose body is gone, and no budget is spent on them", () => {
    expect(next({ failure: reset, method: "POST" })).toBe("stop");
    expect(next({ failure: reset, method: "PUT", bodyReplayable: false })).toBe("stop");
    expect(asked).toBe(0);
  });

  test("a POST of which nothing was sent is repeated", () => {
    const unsent = failure("reset", { outcome: "reset", retry: "always" });
    expect(next({ failure: unsent, method: "POST" })).toBe("retry");
  });

  test("the transport's word that it must not be repeated counts for every method", () => {
    const never = failure("reset", { outcome: "reset", retry: "never", stale: true });
    expect(next({ failure: never })).toBe("stop");
  });

  test("only for the reasons that are configured", () => {
    expect(next({ failure: timeout })).toBe("stop");
    expect(next({ failure: timeout, retry: { ...RETRY, on: ["timeout"] } })).toBe("retry");
    expect(next({ failure: reset, retry: { ...RETRY, on: ["connect", "timeout"] } })).toBe("stop");
    expect(
      next({ failure: garbage, retry: { ...RETRY, on: ["connect", "reset", "timeout"] } }),
    ).toBe("stop");
  });

  test("an empty budget ends it", () => {
    expect(next({ failure: reset, budget: spent })).toBe("stop");
  });
});

describe("after a reused connection ended before any answer", () => {
  test("the same backend gets it once more, without budget, with retries off too", () => {
    expect(next({ failure: stale, retry: null, attempts: 2, budget: spent })).toBe("reconnect");
    expect(next({ failure: stale })).toBe("reconnect");
    expect(asked).toBe(0);
  });

  test("once only: the second time it is a failure like any other", () => {
    expect(next({ failure: stale, reconnected: true })).toBe("retry");
    expect(next({ failure: stale, reconnected: true, retry: null })).toBe("stop");
  });

  test("not for a request that may not be repeated", () => {
    expect(next({ failure: stale, method: "POST" })).toBe("stop");
    expect(next({ failure: stale, method: "DELETE", bodyReplayable: false })).toBe("stop");
  });
});

test("idempotent are the methods of RFC 9110 section 9.2.2, in upper case", () => {
  const idempotent = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"];
  expect(idempotent.every(isIdempotent)).toBe(true);
  expect(["POST", "PATCH", "CONNECT", "get", "PROPFIND", ""].some(isIdempotent)).toBe(false);
});

describe("blame", () => {
  test("every 5xx but 501 and 505, nothing below", () => {
    const counted: number[] = [];
    for (let status = 100; status < 600; status++)
      if (countsAsFailure("ok", status)) counted.push(status);
    const expected: number[] = [];
    for (let status = 500; status < 600; status++)
      if (status !== 501 && status !== 505) expected.push(status);
    expect(counted).toEqual(expected);
    expect(countsAsFailure("ok", null)).toBe(false);
  });

  test("every broken exchange, with or without a head, but never a client that went away", () => {
    for (const outcome of ["connect", "reset", "timeout", "truncated", "invalid"] as const) {
      expect(countsAsFailure(outcome, null)).toBe(true);
      expect(countsAsFailure(outcome, 200)).toBe(true);
    }
    expect(countsAsFailure("client_gone", null)).toBe(false);
    expect(countsAsFailure("client_gone", 502)).toBe(false);
  });
});
