import { describe, expect, test } from "bun:test";
import { assertKeptUp, GeneratorLagError } from "../../../src/cli/demo/generator-error.ts";
import { RuntimeError } from "../../../src/errors.ts";
import { createRow } from "./report-fixture.ts";

const row = createRow({ label: "round-robin", p99: 100, errors: 0 });
const check = (changes: Partial<typeof row.generator>) => () =>
  assertKeptUp({ ...row.generator, ...changes }, 50, row);

describe("a load generator that did not keep up", () => {
  test("is no problem up to the limit", () => {
    expect(check({ lagP99Ms: 50, lagMaxMs: 400 })).not.toThrow();
  });

  test("was late: nothing is reported, and it says why", () => {
    expect(check({ lagP99Ms: 50.2 })).toThrow(GeneratorLagError);
    expect(check({ lagP99Ms: 50.2 })).toThrow(
      /fell behind: .* 50\.2 ms late, allowed are 50\.0 ms\..*round-robin.*--max-lag/,
    );
  });

  test("could not send something: nothing is reported, and trying again would not help", () => {
    expect(check({ notSent: 3 })).toThrow(RuntimeError);
    expect(check({ notSent: 3 })).not.toThrow(GeneratorLagError);
    expect(check({ notSent: 3 })).toThrow(/could not send 3 requests .*ulimit/);
  });
});
