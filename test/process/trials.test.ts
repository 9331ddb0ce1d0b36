/** The child in which a strategy is put to the proof: what it tells when the strategy does not let it end. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { ConfigError } from "../../src/errors.ts";
import { tryBench, tryConformance } from "../../src/process/trials.ts";
import { folderWith } from "../_support/leastwise.ts";

setDefaultTimeout(60_000);

async function withStrategy<T>(
  create: string,
  use: (file: string, tempDir: string) => Promise<T>,
): Promise<T> {
  const text = `export default { name: "tried", apiVersion: 1, create: ${create} };`;
  await using folder = await folderWith({ "mine.ts": text });
  return await use(join(folder.path, "mine.ts"), join(folder.path, "bundles"));
}

function conformance(create: string) {
  return withStrategy(create, (file, tempDir) =>
    tryConformance({ kind: "file", file }, tempDir, "./mine.ts", 3000),
  );
}

test("a pick that loops in one situation is told with that situation, and with what went well before", async () => {
  const { description, problems, rules } = await conformance(
    "(env) => ({ score() { while (env.previous === 0); return 1; } })",
  );
  expect(description?.name).toBe("tried");
  expect(problems).toEqual([]);
  expect(rules.slice(0, -1).filter(({ ok }) => !ok)).toEqual([]);
  expect(rules.length).toBeGreaterThan(10);
  expect(rules.at(-1)).toEqual({
    rule: "starts from nothing, whatever an older version of it left",
    ok: false,
    explanation: "did not finish within 3 s: is there an endless loop in a method?",
    test: null,
  });
});

test("a strategy that loops before it is there has no rules, only a problem", async () => {
  const { description, problems, rules } = await conformance("() => { for (;;); }");
  expect({ description, rules }).toEqual({ description: null, rules: [] });
  expect(problems[0]?.message).toStartWith("did not finish within 3 s");
});

test("what a strategy throws into the event loop ends the trial and is told", async () => {
  const { rules } = await conformance(
    '() => { setTimeout(() => { throw new Error("late"); }); return { score: () => 1 }; }',
  );
  expect(rules.at(-1)).toMatchObject({
    ok: false,
    explanation: "threw outside of every call to it: late",
  });
});

describe("a strategy that answers in our name is found", () => {
  const send = (message: string) => `process.send(${message});`;
  const FORGED = "what its process answers is not from leastwise: does it use process.send?";

  test.each([
    ["a step that is none", '{ kind: "step", step: undefined }'],
    ["a rule that is none", '{ kind: "step", step: { ended: null } }'],
    ["that it is done", '{ kind: "done", value: [] }'],
    ["that we are broken", '{ kind: "broken", stack: "" }'],
  ])("%s, before it is there", async (_what, message) => {
    const { description, problems, rules } = await conformance(
      `() => { ${send(message)} return { score: () => 1 }; }`,
    );
    expect({ description, rules }).toEqual({ description: null, rules: [] });
    expect(problems.map((each) => each.message)).toEqual([FORGED]);
  });

  test.each([
    ["a step that is none", '{ kind: "step", step: undefined }'],
    ["that it is done", '{ kind: "done", value: [] }'],
  ])("%s, while a rule is tried", async (_what, message) => {
    const { rules } = await conformance(
      `(env) => ({ score() { if (env.previous === 0) { ${send(message)} } return 1; } })`,
    );
    expect(rules.at(-1)).toEqual({
      rule: "starts from nothing, whatever an older version of it left",
      ok: false,
      explanation: FORGED,
      test: null,
    });
  });

  test("when it is measured", async () => {
    const thrown: unknown = await withStrategy(
      `() => { ${send('{ kind: "done", value: [1] }')} return { score: () => 1 }; }`,
      (file, tempDir) => tryBench({ kind: "file", file }, tempDir, [3]),
    ).catch((reason: unknown) => reason);
    expect(thrown).toBeInstanceOf(ConfigError);
    expect((thrown as ConfigError).message).toEndWith(FORGED);
  });
});

test("a strategy that cannot be measured is refused", async () => {
  const thrown: unknown = await withStrategy("7", (file, tempDir) =>
    tryBench({ kind: "file", file }, tempDir, [3]),
  ).catch((reason: unknown) => reason);
  expect(thrown).toBeInstanceOf(ConfigError);
  expect((thrown as ConfigError).problems[0]?.message).toContain("create is 7");
});
