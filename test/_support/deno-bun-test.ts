/**
 * Stands in for `bun:test` under Deno, with what the tests of runtime-neutral parts use. A matcher
 * that is missing here fails its test; it does not pass.
 */
import assert from "node:assert/strict";

interface DenoTest {
  test(definition: { name: string; fn: () => unknown }): void;
}

const { Deno: deno } = globalThis as unknown as { readonly Deno: DenoTest };
const path: string[] = [];

export function describe(name: string, body: () => void): void {
  path.push(name);
  body();
  path.pop();
}

export function test(name: string, fn: () => unknown): void {
  deno.test({ name: [...path, name].join(" > "), fn: async () => void (await fn()) });
}

/** One test for each row; `%s` in the name is the row's first entry. */
test.each = (rows: readonly (readonly unknown[])[]) => {
  return (name: string, fn: (...row: unknown[]) => unknown): void => {
    for (const row of rows) test(name.replace("%s", String(row[0])), () => fn(...row));
  };
};

export function expect(found: unknown) {
  return { ...matchers(found), not: negated(found) };
}

function matchers(found: unknown) {
  return {
    toBe: (expected: unknown) => assert.equal(found, expected),
    toBeNull: () => assert.equal(found, null),
    toBeUndefined: () => assert.equal(found, undefined),
    toHaveLength: (length: number) => assert.equal((found as { length: number }).length, length),
    toEqual: (expected: unknown) => assert.deepEqual(found, expected),
    toMatchObject: (expected: object) => assert.partialDeepStrictEqual(found, expected),
    toContain(expected: unknown) {
      const holds = (found as { includes(one: unknown): boolean }).includes(expected);
      assert.ok(holds, `${String(found)} does not contain ${String(expected)}`);
    },
    toBeGreaterThan: (limit: number) => assert.ok((found as number) > limit, `${found} > ${limit}`),
    toBeLessThan: (limit: number) => assert.ok((found as number) < limit, `${found} < ${limit}`),
    toBeGreaterThanOrEqual: (limit: number) =>
      assert.ok((found as number) >= limit, `${found} >= ${limit}`),
    toBeLessThanOrEqual: (limit: number) =>
      assert.ok((found as number) <= limit, `${found} <= ${limit}`),
    toThrow(expected?: string | (new (...args: never[]) => Error)) {
      assert.throws(found as () => unknown, (thrown: unknown) => {
        if (expected === undefined) return true;
        if (typeof expected !== "string") return thrown instanceof expected;
        return thrown instanceof Error && thrown.message.includes(expected);
      });
    },
  };
}

function negated(found: unknown) {
  return {
    toBe: (expected: unknown) => assert.notEqual(found, expected),
    toMatch: (expected: RegExp) => assert.doesNotMatch(found as string, expected),
  };
}
