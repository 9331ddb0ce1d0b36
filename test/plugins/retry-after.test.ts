import { describe, expect, test } from "bun:test";
import { readRetryAfterMs } from "../../plugins/retry-after.ts";
import { headersOf } from "../_support/rehearsed-exchange.ts";

describe("Retry-After", () => {
  const date = "Sun, 06 Nov 1994 08:49:37 GMT";
  const cases: readonly (readonly [
    situation: string,
    headers: Record<string, string>,
    ms: number | null,
  ])[] = [
    ["in seconds", { "retry-after": "120" }, 120_000],
    ["of no time at all", { "retry-after": "0" }, 0],
    ["with spaces around it", { "retry-after": " 5 " }, 5000],
    [
      "as a date, against the response's own",
      { "retry-after": "Sun, 06 Nov 1994 08:51:07 GMT", date },
      90_000,
    ],
    ["as a date that has passed", { "retry-after": "Sun, 06 Nov 1994 08:00:00 GMT", date }, 0],
    [
      "as a date, in a response without one",
      { "retry-after": "Sun, 06 Nov 1994 08:51:07 GMT" },
      null,
    ],
    ["as a date in another form", { "retry-after": "Sunday, 06-Nov-94 08:51:07 GMT", date }, null],
    ["as a date that there is not", { "retry-after": "Sun, 99 Nov 1994 08:51:07 GMT", date }, null],
    ["that is missing", { date }, null],
    ["that is negative", { "retry-after": "-1" }, null],
    ["that is no whole number", { "retry-after": "1.5" }, null],
    ["in so many seconds that nobody means it", { "retry-after": "9".repeat(400) }, null],
    ["sent twice", { "retry-after": "1, 2" }, null],
  ];
  for (const [situation, headers, ms] of cases) {
    test(situation, () => expect(readRetryAfterMs(headersOf(headers))).toBe(ms));
  }
});
