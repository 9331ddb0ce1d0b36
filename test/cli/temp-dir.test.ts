/** kill -9 of a master left its folder with the strategies' bundles for ever. */
import { afterEach, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BUILD_TIMEOUT_MS, leastwiseBinary } from "../_support/binary.ts";
import { startFakeBackend } from "../_support/fake-backend.ts";
import { type Proxy, startProxy } from "../_support/proxy.ts";

setDefaultTimeout(30_000);

const backend = startFakeBackend();
let temp: string;
let started: Proxy[];

beforeAll(async () => {
  await leastwiseBinary();
}, BUILD_TIMEOUT_MS);

beforeEach(() => {
  temp = mkdtempSync(join(tmpdir(), "leastwise-test-"));
  started = [];
});

afterEach(async () => {
  await Promise.all(started.map((each) => each.end()));
  rmSync(temp, { recursive: true, force: true });
});

async function start(): Promise<Proxy> {
  const config = {
    workers: 1,
    pools: { web: { backends: [backend.url], strategy: "./mine.ts" } },
  };
  const proxy = await startProxy({ config, files: { "mine.ts": MINE }, env: { TMPDIR: temp } });
  started.push(proxy);
  return proxy;
}

const MINE = `export default { name: "mine", apiVersion: 1, create: () => ({ score: () => 0 }) };`;

const folders = (): string[] => readdirSync(temp).filter((name) => /^leastwise-\w{6}$/.test(name));

async function leaveOne(): Promise<string> {
  const others = folders();
  const killed = await start();
  killed.signal("SIGKILL");
  await killed.exited;
  const [left] = folders().filter((name) => !others.includes(name));
  if (left === undefined) throw new Error("it left nothing");
  return left;
}

test("what a killed master left is removed by the next one, and nothing of a living one", async () => {
  const living = await start();
  const [its] = folders();
  const left = await leaveOne();
  const next = await start();
  expect(next.log()).toContain(`"folder":"${join(temp, left)}"`);
  expect(folders()).not.toContain(left);
  expect(folders()).toContain(its ?? "");
  expect(await living.reload()).toMatchObject({ ok: true });
  expect(await living.stop()).toBe(0);
  expect(await next.stop()).toBe(0);
  expect(folders()).toEqual([]);
});

test("several that start at once do not take each other's folders", async () => {
  const left = await leaveOne();
  const three = await Promise.all([start(), start(), start()]);
  expect(folders()).toHaveLength(3);
  expect(folders()).not.toContain(left);
  for (const each of three) expect(await each.reload()).toMatchObject({ ok: true });
});

test("what was never locked, is no folder or is somebody else's stays", async () => {
  mkdirSync(join(temp, "leastwise-abcdef"), { mode: 0o700 });
  mkdirSync(join(temp, "precious"), { mode: 0o700 });
  writeFileSync(join(temp, "precious", "lock"), "");
  symlinkSync(join(temp, "precious"), join(temp, "leastwise-linked"));
  // Others could have written there.
  mkdirSync(join(temp, "leastwise-public"), { mode: 0o755 });
  writeFileSync(join(temp, "leastwise-public", "lock"), "");
  writeFileSync(join(temp, "leastwise-afile0"), "");
  // Named otherwise, by whoever keeps one for later.
  const left = await leaveOne();
  renameSync(join(temp, left), join(temp, `${left}-kept`));
  await start();
  for (const name of ["abcdef", "linked", "public", "afile0"]) {
    expect(readdirSync(temp)).toContain(`leastwise-${name}`);
  }
  expect(readdirSync(temp)).toContain(`${left}-kept`);
  expect(existsSync(join(temp, "precious", "lock"))).toBe(true);
});
