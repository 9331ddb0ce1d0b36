/** Workers replaced one by one while clients are served, with the compiled binary. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startBackendProcess } from "../_support/backend-process.ts";
import { createBareFolder } from "../_support/binary.ts";
import { useHarness } from "../_support/harness.ts";
import { isQuiet, type Proxy } from "../_support/proxy.ts";
import { connectRaw } from "../_support/raw-client.ts";
import { startStrictLoad } from "../_support/strict-load.ts";

const { backend, proxy } = useHarness();

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "leastwise-test-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n${"x".repeat(1000)}`;

/** By the command; resolves with what it printed. */
async function recycle({ admin }: Proxy, ...flags: string[]) {
  await using bare = await createBareFolder();
  return await bare.run("recycle", "--admin", admin.replace("http://", ""), ...flags);
}

async function pidsOf(front: Proxy): Promise<number[]> {
  return (await front.workers()).map(({ pid }) => pid);
}

describe("leastwise recycle", () => {
  test("under load on kept connections: no request fails, nothing stays behind", async () => {
    const server = await startBackendProcess();
    try {
      const front = await proxy({
        config: { pools: { web: { backends: [server.url] } }, workers: 2 },
      });
      const before = await pidsOf(front);
      const loads = [GET, POST].map((request) =>
        startStrictLoad({ port: front.port, clients: 16, request, keepAlive: true }),
      );
      await Promise.all(loads.map((load) => load.more(500)));
      for (let round = 1; round <= 2; round++) {
        const { exitCode, stdout, stderr } = await recycle(front, "--json");
        expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
        const serving = JSON.parse(stdout).filter(
          ({ state }: { state: string }) => state === "serving",
        );
        expect(serving.map(({ id }: { id: number }) => id)).toEqual([0, 1]);
      }
      await Promise.all(loads.map((load) => load.more(500)));
      const results = await Promise.all(loads.map((load) => load.stop()));
      for (const { requests, failures, closed } of results) {
        expect(failures).toEqual({});
        expect(requests).toBeGreaterThan(1000);
        expect(closed).toBeGreaterThan(0);
      }
      await front.until("the books closed", isQuiet);
      const after = await pidsOf(front);
      expect(after).toHaveLength(2);
      expect(after.some((pid) => before.includes(pid))).toBe(false);
      const [pool] = await front.pools();
      const sent = results.reduce((sum, { requests }) => sum + requests, 0);
      expect(pool?.backends[0]?.requests).toBe(sent);
      expect(pool?.backends[0]?.failures).toBe(0);
    } finally {
      await server.stop();
    }
  }, 60_000);

  test("does not break an answer that is on its way: its worker ends with it", async () => {
    const slow = backend((request, wire) => {
      if (request.target !== "/slow") return "ok";
      wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
      return undefined;
    });
    const front = await proxy({
      config: { pools: { web: { backends: [slow.url] } }, workers: 1 },
    });
    const [before = 0] = await pidsOf(front);
    const client = await connectRaw(front.port);
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.until((text) => text.includes("abc"));
    const { exitCode, stdout } = await recycle(front);
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`process ${before}, worker 0 before, finishes what it has`);
    expect((await fetch(front.url)).status).toBe(200);
    let now = await front.workers();
    // Null: busy as the machine is, it has not told within half a second.
    while (now[1]?.pendingRequests === null) now = await front.workers();
    expect(now).toMatchObject([
      { id: 0, state: "serving", restarts: 0 },
      { id: 0, pid: before, state: "stopping", pendingRequests: 1 },
    ]);
    const [busy] = await front.pools();
    expect(busy?.backends[0]?.inFlight).toBe(1);
    for (const wire of slow.wires) wire.write("0\r\n\r\n");
    await client.closed;
    expect(client.received()).toEndWith("0\r\n\r\n");
    while ((await front.workers()).length > 1) await Bun.sleep(5);
    await front.until("the books closed", isQuiet);
  });

  test("fails with the reason when a new worker cannot serve, and the old ones go on", async () => {
    const { url } = backend();
    const flag = join(folder, "broken");
    const front = await proxy({
      config: { pools: { web: { backends: [url], strategy: "./mine.ts" } }, workers: 2 },
      files: {
        "mine.ts": `import { existsSync } from "node:fs";
          if (existsSync(${JSON.stringify(flag)})) throw new Error("broken on purpose");
          export default { name: "mine", apiVersion: 1, create: () => ({ score: () => 0 }) };`,
      },
    });
    const before = await pidsOf(front);
    writeFileSync(flag, "");
    const { exitCode, stderr } = await recycle(front);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("worker 0 was not recycled");
    expect(stderr).toContain("broken on purpose");
    expect(stderr).not.toMatch(/\n\s+at /);
    while ((await pidsOf(front)).length > 2) await Bun.sleep(5);
    expect(await pidsOf(front)).toEqual(before);
    expect((await fetch(front.url)).status).toBe(200);
    rmSync(flag);
    expect((await recycle(front)).exitCode).toBe(0);
  });

  test("hands a unix socket over: somebody answers there all the time", async () => {
    const { url } = backend(() => "ok");
    const unix = join(folder, "front.sock");
    const front = await proxy({
      config: {
        listen: [{ address: "127.0.0.1:0" }, { address: `unix:${unix}` }],
        pools: { web: { backends: [url] } },
        workers: 2,
      },
    });
    const over = new AbortController();
    const asking = (async () => {
      while (!over.signal.aborted) {
        const init = { unix, headers: { connection: "close" } };
        expect(await (await fetch("http://a/", init)).text()).toBe("ok");
      }
    })();
    // Twice: what the first one leaves behind must not be in the way of the second.
    expect((await recycle(front)).exitCode).toBe(0);
    expect((await recycle(front)).exitCode).toBe(0);
    over.abort();
    await asking;
    expect(await (await fetch("http://a/", { unix })).text()).toBe("ok");
    expect(await front.stop()).toBe(0);
    expect(existsSync(unix)).toBe(false);
    expect(existsSync(`${unix}~`)).toBe(false);
  });

  test("leaves nothing in the way of the unix socket's next owner, should that be killed", async () => {
    const slow = backend((request, wire) => {
      if (request.target !== "/slow") return "ok";
      wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
      return undefined;
    });
    const unix = join(folder, "front.sock");
    const front = await proxy({
      config: {
        listen: [{ address: `unix:${unix}` }],
        pools: { web: { backends: [slow.url] } },
        workers: 1,
      },
    });
    const answer = await fetch("http://a/slow", { unix });
    expect((await recycle(front)).exitCode).toBe(0);
    const [owner, old] = await front.workers();
    expect(old?.state).toBe("stopping");
    process.kill(owner?.pid ?? 0, "SIGKILL");
    while (!front.log().includes('"message":"worker replaced"')) await Bun.sleep(5);
    expect(await (await fetch("http://a/", { unix })).text()).toBe("ok");
    for (const wire of slow.wires) wire.write("0\r\n\r\n");
    expect(await answer.text()).toBe("abc");
  });

  test("of nobody: exit 1 and the address", async () => {
    await using bare = await createBareFolder();
    const { exitCode, stderr } = await bare.run("recycle", "--admin", "127.0.0.1:1");
    expect(exitCode).toBe(1);
    expect(stderr).toContain("nobody answers at 127.0.0.1:1");
  });
});

test("workers that hold many old versions of a strategy are recycled by themselves", async () => {
  const server = await startBackendProcess();
  try {
    // Some 700 KB, of which each worker can be left with about four that it has no use for.
    const version = (
      number: number,
    ) => `const text = ${JSON.stringify(`${number}${"x".repeat(700_000)}`)};
      export default { name: "mine", apiVersion: 1, create: () => ({ score: () => text.length }) };`;
    const front = await proxy({
      config: { pools: { web: { backends: [server.url], strategy: "./mine.ts" } }, workers: 2 },
      files: { "mine.ts": version(0) },
    });
    const before = await front.workers();
    expect(before).toMatchObject([{ modules: 1 }, { modules: 1 }]);
    const load = startStrictLoad({ port: front.port, clients: 8, request: GET, keepAlive: true });
    const [pool] = await front.pools();
    for (let number = 1; number <= 5; number++) {
      writeFileSync(pool?.strategy.source ?? "", version(number));
      const reloaded = await fetch(`${front.admin}/api/v1/reload`, { method: "POST" });
      expect(reloaded.status).toBe(200);
    }
    const pids = before.map(({ pid }) => pid);
    for (;;) {
      const now = await front.workers();
      const isNew = now.every(({ pid, state }) => !pids.includes(pid) && state === "serving");
      if (isNew && now.length === 2) break;
      await Bun.sleep(10);
    }
    await load.more(100);
    expect((await load.stop()).failures).toEqual({});
    for (const { modules } of await front.workers()) expect(modules).toBeLessThan(4);
    expect(front.log()).toContain("they hold many old versions of strategies");
  } finally {
    await server.stop();
  }
}, 60_000);

test("a stop in the middle of recycling ends every worker, old and new", async () => {
  const silent = backend(() => null);
  const held = join(folder, "held");
  const front = await proxy({
    config: {
      pools: { web: { backends: [silent.url], strategy: "./mine.ts" } },
      workers: 2,
      shutdown: { grace: "100ms" },
    },
    files: {
      "mine.ts": `import { existsSync } from "node:fs";
        while (existsSync(${JSON.stringify(held)})) await new Promise((go) => setTimeout(go, 5));
        export default { name: "mine", apiVersion: 1, create: () => ({ score: () => 0 }) };`,
    },
  });
  const client = await connectRaw(front.port);
  client.send(GET);
  await silent.seen(1);
  // The new worker does not get ready, so that the stop comes in the middle for certain.
  writeFileSync(held, "");
  const recycled = recycle(front);
  while ((await front.workers()).length < 3) await Bun.sleep(5);
  const pids = await pidsOf(front);
  expect(pids).toHaveLength(3);
  expect(await front.stop()).toBe(0);
  expect((await recycled).exitCode).toBe(1);
  await client.closed;
  expect(pids.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
});
