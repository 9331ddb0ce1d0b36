import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { ConfigError } from "../../src/errors.ts";
import { evaluateConfigFile, evaluateStrategyConfig } from "../../src/process/evaluation.ts";
import { folderWith } from "../_support/leastwise.ts";

// Every run is one or two processes, and an endless loop is given 5 s.
setDefaultTimeout(30_000);

async function refusalOf(promise: Promise<unknown>): Promise<string> {
  const thrown = await promise.then(
    () => null,
    (error: unknown) => error,
  );
  if (thrown instanceof ConfigError) return thrown.message;
  throw new Error(`expected a ConfigError, got ${String(thrown)}`);
}

test("a config comes back as plain data, with the file it was found in", async () => {
  await using folder = await folderWith({
    "leastwise.config.ts":
      "export default { pools: { web: { backends: [process.argv.length > 0] } } };",
  });
  expect(await evaluateConfigFile({ cwd: folder.path, tempDir: join(folder.path, "out") })).toEqual(
    {
      file: join(folder.path, "leastwise.config.ts"),
      raw: { pools: { web: { backends: [true] } } },
      sources: [join(folder.path, "leastwise.config.ts")],
      passedOver: [],
    },
  );
});

test("a config that is a link is known by its own name, too, and is not beside itself", async () => {
  await using folder = await folderWith({ "a.ts": "export default {};" });
  const name = join(folder.path, "leastwise.config.ts");
  symlinkSync("a.ts", name);
  const loaded = await evaluateConfigFile({ cwd: folder.path, tempDir: join(folder.path, "out") });
  expect(loaded?.sources).toContain(name);
  expect(loaded?.passedOver).toEqual([]);
});

test("a folder without a config file gives nothing", async () => {
  await using folder = await folderWith({});
  expect(await evaluateConfigFile({ cwd: folder.path, tempDir: folder.path })).toBeNull();
});

test("a job that cannot be sent leaves no process behind, and no timer", async () => {
  const listening = process.listenerCount("exit");
  const strategy = { kind: "built-in", name: "p2c", options: { f: () => 1 } } as const;
  await expect(evaluateStrategyConfig(strategy, "")).rejects.toThrow("p2c could not be evaluated");
  expect(process.listenerCount("exit")).toBe(listening);
});

describe("code that does not let go is ended with its process", () => {
  test.each([
    [
      "an endless loop",
      "for (;;) {}",
      "did not finish within 0.3 s: is there an endless loop at top level, in create, or in score or pick?",
    ],
    [
      "a promise that is never kept",
      "await new Promise(() => setInterval(() => {}, 1000));",
      "did not finish within 0.3 s",
    ],
    ["an exit", "process.exit(7);", "ended its process with exit code 7"],
    ["a kill", 'process.kill(process.pid, "SIGKILL");', "ended its process by signal SIGKILL"],
  ])("%s", async (_situation, source, message) => {
    await using folder = await folderWith({ "mine.ts": source });
    const file = join(folder.path, "mine.ts");
    // Short only where it is waited for: the rest is bundled and loaded first, which takes its time.
    const deadlineMs = message.startsWith("did not finish") ? 300 : 20_000;
    const out = join(folder.path, "out");
    const evaluated = evaluateStrategyConfig({ kind: "file", file }, out, { deadlineMs });
    expect(await refusalOf(evaluated)).toStartWith(`${file}: ${message}`);
  });
});

test("an open handle does not keep the child, nor the caller waiting", async () => {
  await using folder = await folderWith({
    "leastwise.config.ts": "setInterval(() => {}, 1000); export default { pid: process.pid };",
  });
  const loaded = await evaluateConfigFile({ cwd: folder.path, tempDir: join(folder.path, "out") });
  if (loaded === null) throw new Error("expected a config");
  const { pid } = loaded.raw as { pid: number };
  expect(pid).not.toBe(process.pid);
  // It has been killed; the system may take a moment to notice.
  while (isAlive(pid)) await new Promise((resolve) => setImmediate(resolve));
});

describe("an answer that the file gives in our name is none, whatever it says", () => {
  test.each([
    ["a start, again and again", '{ kind: "started" }'],
    ["a step", '{ kind: "step", step: null }'],
    ["a result", '{ kind: "done", value: null }'],
    ["a result with a seal", '{ kind: "done", value: {}, seal: undefined }'],
    ["a refusal without a reason", '{ kind: "refused", problems: [], file: null }'],
    ["a refusal that is none", '{ kind: "refused" }'],
    ["a bug of ours", '{ kind: "broken", stack: "Error: oops" }'],
  ])("%s", async (_situation, message) => {
    await using folder = await folderWith({
      "mine.ts": `setInterval(() => process.send(${message}), 20); await new Promise(() => {});`,
    });
    const file = join(folder.path, "mine.ts");
    const evaluated = evaluateStrategyConfig({ kind: "file", file }, folder.path, {
      deadlineMs: 20_000,
    });
    expect(await refusalOf(evaluated)).toBe(
      `${file}: what its process answers is not from leastwise: does it use process.send?`,
    );
  });

  test("of a config file, too", async () => {
    await using folder = await folderWith({
      "leastwise.config.ts": 'process.send({ kind: "done", value: 7 }); export default {};',
    });
    const evaluated = evaluateConfigFile({ cwd: folder.path, tempDir: folder.path });
    expect(await refusalOf(evaluated)).toContain("is not from leastwise");
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test("a message that the file sends itself is no answer", async () => {
  await using folder = await folderWith({
    "leastwise.config.ts":
      'process.send?.({ kind: "nonsense" }); process.send?.(null); export default { a: 1 };',
  });
  const loaded = await evaluateConfigFile({ cwd: folder.path, tempDir: join(folder.path, "out") });
  expect(loaded?.raw).toEqual({ a: 1 });
});

test("a strategy's bundle and description come back", async () => {
  await using folder = await folderWith({
    "mine.ts":
      'export default { name: "mine", apiVersion: 1, create: () => ({ score: (b) => b.inFlight }) };',
  });
  const file = join(folder.path, "mine.ts");
  const out = join(folder.path, "out");
  const { module, description } = await evaluateStrategyConfig({ kind: "file", file }, out);
  expect(module).toMatchObject({ kind: "file", source: file });
  if (module.kind !== "file") throw new Error("expected a file");
  expect(description).toEqual({ name: "mine", version: module.version, source: file });
  expect(await Bun.file(module.path).exists()).toBe(true);
});

describe("a strategy that computes for longer than the watchdog allows in a worker", () => {
  /** Once, on a processor of its own or not. */
  const burn = `if (!globalThis.burnt) {
    globalThis.burnt = true;
    const computed = () => { const { user, system } = process.threadCpuUsage(); return (user + system) / 1000; };
    for (const until = computed() + 400; computed() < until;) for (let i = 0; i < 1e6; i++);
  }`;
  const source = (top: string, create = "", score = "") => `${top}
    export default { name: "mine", apiVersion: 1, create: () => { ${create}
      return { score(b) { ${score} return b.inFlight; } }; } };`;

  test.each([
    ["at top level", source(burn), "its top level"],
    ["in create", source("", burn), "create"],
    ["in score", source("", "", burn), "score"],
  ])("%s is refused with both times", async (_where, text, what) => {
    await using folder = await folderWith({ "mine.ts": text });
    const file = join(folder.path, "mine.ts");
    const out = join(folder.path, "out");
    const options = { watchdogMs: 300, deadlineMs: 30_000 };
    const evaluated = evaluateStrategyConfig({ kind: "file", file }, out, options);
    expect(await refusalOf(evaluated)).toMatch(
      new RegExp(
        `^${file}: ${what} computes for \\d{3,4} ms, in which a worker does nothing else; watchdog allows 300 ms$`,
      ),
    );
  });

  test("with breaks at its top level, as a worker could beat in them, is accepted", async () => {
    const parts = `for (let part = 0; part < 6; part++) {
      globalThis.burnt = false;
      ${burn.replace("400", "100")}
      await Bun.sleep(200);
    }`;
    await using folder = await folderWith({ "mine.ts": source(parts) });
    const file = join(folder.path, "mine.ts");
    const options = { watchdogMs: 400, deadlineMs: 30_000 };
    const evaluated = evaluateStrategyConfig({ kind: "file", file }, folder.path, options);
    expect((await evaluated).description.name).toBe("mine");
  });

  test("is what it is where there is no watchdog, and where it only waits", async () => {
    await using folder = await folderWith({
      "burns.ts": source(burn),
      "waits.ts": source("await Bun.sleep(400);"),
    });
    const out = join(folder.path, "out");
    const [burns, waits] = ["burns.ts", "waits.ts"].map((name) => join(folder.path, name));
    const patient = { deadlineMs: 30_000 };
    const watched = { ...patient, watchdogMs: 300 };
    expect(
      await Promise.all([
        evaluateStrategyConfig({ kind: "file", file: burns ?? "" }, out, patient),
        evaluateStrategyConfig({ kind: "file", file: waits ?? "" }, out, watched),
      ]),
    ).toHaveLength(2);
  });
});

test("a refusal is bounded, wherever a strategy says that it was thrown", async () => {
  await using folder = await folderWith({
    "mine.ts": `Promise.reject(Object.assign(new Error("no"), { stack: "at (/" + "x".repeat(1e6) + ":1:1)" }));
      await new Promise(() => setInterval(() => {}, 1000));`,
  });
  const refusal = await refusalOf(
    evaluateStrategyConfig({ kind: "file", file: join(folder.path, "mine.ts") }, folder.path),
  );
  expect(refusal).toMatch(
    /^\/x+… \(998\d{3} more characters\): threw outside of every call to it: no$/,
  );
  expect(refusal.length).toBeLessThan(5000);
});
