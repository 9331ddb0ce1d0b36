/** `leastwise explain --as-test` when the strategy's file is no longer the one that decided. */
import { expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Proxy } from "../_support/proxy.ts";
import { useTracing } from "../_support/traced-proxy.ts";

const { backend, tracedProxy } = useTracing();

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const FILE = "mine.decision-4bf92f35.test.ts";
const FIRST = `export default { name: "mine", apiVersion: 1, create: () => ({
  score: ({ id }) => (id === "a" ? 1 : 2) }) };`;

/** Decided for `a`; then the file is changed, which nobody loads. */
async function decidedBefore(
  changed: string,
  { first = FIRST, headers = {} }: { first?: string; headers?: Record<string, string> } = {},
): Promise<Proxy> {
  const backends = ["a", "b"].map((id) => ({ id, url: backend().url }));
  const web = { backends, health: false, ejection: false, strategy: "./mine.ts" } as const;
  const front = await tracedProxy(null, {
    config: { pools: { web }, workers: 1 },
    files: { "mine.ts": first },
    env: { OTEL_TRACES_EXPORTER: "otlp", OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9" },
  });
  const traceparent = `00-${TRACE}-00f067aa0ba902b7-01`;
  await fetch(front.url, { headers: { traceparent, ...headers } });
  writeFileSync(join(front.folder, "mine.ts"), changed);
  return front;
}

async function versionOf(front: Proxy): Promise<string> {
  return (await front.pools())[0]?.strategy.version ?? "";
}

test("it decides otherwise: that is the reason, and not what was learnt", async () => {
  const front = await decidedBefore(FIRST.replace("1 : 2", "2 : 1"));
  const { exitCode, stderr } = await front.run("explain", "--trace", TRACE, "--as-test");
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(
    new RegExp(
      `no test can show this decision for a: mine, asked again, picks b; mine ${await versionOf(front)} made it, and \\S*mine\\.ts is mine \\w{12} by now\\n$`,
    ),
  );
  expect(stderr).not.toContain("learnt");
  expect(existsSync(join(front.folder, FILE))).toBe(false);
});

test("it fails by now: what least connections comes to instead is no test of it", async () => {
  const first = `export default { name: "mine", apiVersion: 1, create: () => ({
    pick(list) { return list.find(({ id }) => id === "a") ?? list[0]; } }) };`;
  // Well while it is tried with made-up backends.
  const changed = first.replace(
    "return list.find",
    'if (list.some(({ id }) => id === "a")) throw new Error("broken"); return list.find',
  );
  const front = await decidedBefore(changed, { first });
  const { exitCode, stderr } = await front.run("explain", "--trace", TRACE, "--as-test");
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/ picks [ab], [ab] \(pick threw: broken\); mine \w{12} made it, and /);
  expect(existsSync(join(front.folder, FILE))).toBe(false);
});

test("it looked at a credential as well: both are said", async () => {
  const looking = FIRST.replace("({ id })", "({ id }, { request })").replace(
    "1 : 2",
    'request.headers.has("authorization") ? 1 : 3 : 2',
  );
  const front = await decidedBefore(FIRST.replace("1 : 2", "2 : 1"), {
    first: looking,
    headers: { authorization: "Bearer s3cret" },
  });
  const { exitCode, stderr } = await front.run("explain", "--trace", TRACE, "--as-test");
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/ by now; it looked at authorization, whose value is not recorded\n$/);
  expect(stderr).not.toContain("s3cret");
});

test("it decides the same by now: the test is written, and that is said", async () => {
  const front = await decidedBefore(FIRST.replace("1 : 2", "0 : 2"));
  const note = `mine ${await versionOf(front)} made this decision; \\S*mine\\.ts is mine \\w{12} by now, and can make it, too`;
  const json = await front.run("explain", "--trace", TRACE, "--as-test", "--json");
  expect(json).toMatchObject({ exitCode: 0, stderr: "" });
  const { notes } = JSON.parse(json.stdout) as { notes: string[] };
  expect(notes).toEqual([expect.stringMatching(new RegExp(`^${note}$`))]);
  await Bun.file(join(front.folder, FILE)).delete();
  const text = await front.run("explain", "--trace", TRACE, "--as-test");
  expect(text).toMatchObject({ exitCode: 0, stderr: "" });
  expect(text.stdout).toMatch(
    new RegExp(`^wrote ${FILE}\\nnote: ${note}\\nnext: leastwise plugin test ${FILE}\\n$`),
  );
});
