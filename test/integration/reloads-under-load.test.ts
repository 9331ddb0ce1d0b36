/** Reloads that nobody notices, and what is left of them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { UserConfig } from "../../src/index.ts";
import { useHarness } from "../_support/harness.ts";
import { startSoakBackend, soakBytes, type SoakBackend } from "../soak/soak-backend.ts";
import { SoakClient } from "../soak/soak-client.ts";

const RELOADS = 50;
const REQUESTS = 20_000;
const MINUTE_MS = 60_000;

const { proxy } = useHarness();
let backends: SoakBackend[];

beforeAll(async () => {
  backends = await Promise.all([1, 2, 3].map(() => startSoakBackend()));
});

afterAll(() => Promise.all(backends.map((each) => each.kill())));

/** Another one each time: backends come and go, weights, timeouts, connections, routes and a listener change. */
function configOf(round: number): UserConfig {
  const urls = backends.map(({ url }) => url);
  const [gone] = urls.splice(round % urls.length, 1);
  const weight = 1 + (round % 3);
  return {
    listen: [{ address: "127.0.0.1:0" }, ...(round % 4 === 3 ? [{ address: "127.0.0.1:0" }] : [])],
    pools: {
      web: {
        backends: [{ url: urls[0] ?? "", weight }, urls[1] ?? ""],
        strategy: "./mine.ts",
        timeouts: { idle: round % 2 === 0 ? "60s" : "50s" },
        connections: { maxIdle: 200 + (round % 5) },
        health: { interval: "1s", rise: 1 + (round % 2) },
      },
      api: { backends: [gone ?? ""] },
    },
    routes: [{ path: `/api/${round}/*`, pool: "api" }, { pool: "web" }],
    workers: 2,
  };
}

function strategy(round: number, bytes = 0): string {
  const filling = Array.from({ length: Math.ceil(bytes / 64) }, (_, line) => {
    const name = `f${line}_${round}`;
    return `export function ${name}(a, b) { return a * ${line} + b * ${round}; }`.padEnd(64);
  });
  return `${filling.join("\n")}
    export default { name: "mine", apiVersion: 1, create: () => ({
      score: (backend) => backend.inFlight / backend.weight + ${round} }) };`;
}

test(`${RELOADS} in a minute lose none of ${REQUESTS} requests`, async () => {
  const front = await proxy({ config: configOf(0), files: { "mine.ts": strategy(0) } });
  const bytes = soakBytes();
  const failures = new Map<string, number>();
  let requests = 0;
  let over = false;
  const client = (keepAlive: boolean): Promise<void> =>
    new SoakClient({
      port: front.port,
      bytes,
      keepAlive,
      random: Math.random,
      onEnd({ failure }) {
        requests++;
        if (failure !== null) failures.set(failure, (failures.get(failure) ?? 0) + 1);
      },
    }).run(async () => !over);
  const clients = Array.from({ length: 48 }, (_, index) => client(index % 3 !== 0));
  const startedAt = performance.now();
  let reloads = 0;
  // Where requests are slow there are more reloads, so that none of the requests is without.
  const goesOn = (): boolean => reloads < RELOADS || requests < REQUESTS;
  while (goesOn()) {
    reloads++;
    writeFileSync(join(front.folder, "mine.ts"), strategy(reloads));
    front.configure(configOf(reloads));
    expect(await front.reload()).toMatchObject({ ok: true, problems: [] });
    const nextAt = startedAt + (reloads * MINUTE_MS) / RELOADS;
    const wanted = (reloads * REQUESTS) / RELOADS;
    const isEarly = (): boolean => requests < wanted && performance.now() < nextAt;
    while (isEarly()) await Bun.sleep(5);
  }
  const during = requests;
  const tookMs = performance.now() - startedAt;
  over = true;
  await Promise.all(clients);
  expect(Object.fromEntries(failures)).toEqual({});
  const what = `${reloads} reloads and ${during} requests in ${Math.round(tookMs / 1000)} s`;
  if (tookMs > MINUTE_MS) console.warn(`this machine is too slow for a minute: ${what}`);
  else console.log(what);
  await front.until("nothing in flight", (pools) =>
    pools.every((pool) => pool.backends.every(({ inFlight }) => inFlight === 0)),
  );
}, 300_000);

const EDITS = 200;
/** Files that are edited together: it is the versions that take memory, not the reloads. */
const FILES = 4;

test(`${EDITS} edits of a 10 KB strategy cost each worker less than 20 MB`, async () => {
  const names = Array.from({ length: FILES }, (_, index) => `mine-${index}`);
  const url = backends[0]?.url ?? "";
  const versions = (edit: number): [name: string, text: string][] =>
    names.map((name, index) => [`${name}.ts`, strategy(edit * FILES + index, 10_000)]);
  const front = await proxy({
    config: {
      pools: Object.fromEntries(
        names.map((name) => [name, { backends: [url], strategy: `./${name}.ts` }]),
      ),
      routes: names.map((name) => ({ host: name, pool: name })),
      workers: 2,
    },
    files: Object.fromEntries(versions(0)),
  });
  const serve = async (requests: number): Promise<void> => {
    for (let i = 0; i < requests; i++) {
      const headers = { host: names[i % FILES] ?? "" };
      const answer = await fetch(`${front.url}/bytes/1024`, { headers, keepalive: i % 10 !== 0 });
      expect((await answer.bytes()).length).toBe(1024);
    }
  };
  const residents = async (): Promise<number[]> =>
    (await front.workers()).flatMap(({ pid }) => residentBytes(pid) ?? []);
  expect(versions(0)[0]?.[1].length).toBeGreaterThan(10_000);
  // Worker processes grow by their first requests already.
  await serve(500);
  const before = Math.max(...(await residents()));
  let most = 0;
  for (let edit = 1; edit <= EDITS / FILES; edit++) {
    for (const [name, text] of versions(edit)) writeFileSync(join(front.folder, name), text);
    expect(await front.reload()).toMatchObject({ ok: true });
    await serve(8);
    most = Math.max(most, ...(await residents()));
  }
  expect(most - before).toBeLessThan(20 * 1024 * 1024);
}, 180_000);

/** Null: it has been recycled. */
function residentBytes(pid: number): number | null {
  const status = `/proc/${pid}/status`;
  if (!existsSync(status)) return null;
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(status, "utf8"))?.[1] ?? 0) * 1024;
}
