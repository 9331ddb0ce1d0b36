/** Starting, stopping, and addresses that are taken, with the compiled binary. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createBareFolder, leastwiseBinary } from "../_support/binary.ts";
import { useHarness } from "../_support/harness.ts";
import type { Proxy } from "../_support/proxy.ts";
import { connectRaw } from "../_support/raw-client.ts";

const { backend, proxy } = useHarness();

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "leastwise-test-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("an address that is taken", () => {
  test("by another instance of ours: exit 1 and the address, nothing shared silently", async () => {
    const { url } = backend();
    const first = await proxy({ config: { pools: { web: { backends: [url] } } } });
    await using folder = await createBareFolder();
    const listen = `127.0.0.1:${first.port}`;
    const second = await folder.run(
      "serve",
      "--backend",
      url,
      "--listen",
      listen,
      "--admin",
      "127.0.0.1:0",
    );
    expect(second.exitCode).toBe(1);
    expect(second.stderr).toContain(listen);
    expect(second.stderr).toContain("taken");
    expect(second.stderr).not.toMatch(/\n\s+at /);
    expect((await fetch(first.url)).status).toBe(200);
  });

  test("for the admin API: exit 1 and the address", async () => {
    const { url } = backend();
    const first = await proxy({ config: { pools: { web: { backends: [url] } } } });
    await using folder = await createBareFolder();
    const admin = first.admin.replace("http://", "");
    const second = await folder.run(
      "serve",
      "--backend",
      url,
      "--listen",
      "127.0.0.1:0",
      "--admin",
      admin,
    );
    expect(second.exitCode).toBe(1);
    expect(second.stderr).toContain(admin);
  });

  test("that this machine does not have: exit 1 and the address", async () => {
    await using folder = await createBareFolder();
    const backend = "http://127.0.0.1:9";
    const listen = ["--listen", "192.0.2.1:80"];
    const result = await folder.run("serve", "--backend", backend, ...listen);
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain("192.0.2.1:80");
  });
});

describe("stopping", () => {
  test("lets what runs finish, and exits 0", async () => {
    const slow = backend((_request, wire) => {
      wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    });
    const front = await proxy({ config: { pools: { web: { backends: [slow.url] } } } });
    const client = await connectRaw(front.port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.until((text) => text.includes("abc"));
    front.signal("SIGTERM");
    await refused(front.port);
    for (const wire of slow.wires) wire.write("0\r\n\r\n");
    await client.closed;
    expect(client.received()).toEndWith("0\r\n\r\n");
    expect(await front.exited).toBe(0);
  });

  test("a second signal ends everything at once, with the signal's code", async () => {
    const silent = backend(() => null);
    const front = await proxy({ config: { pools: { web: { backends: [silent.url] } } } });
    const client = await connectRaw(front.port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await silent.seen(1);
    const workers = await front.workers();
    front.signal("SIGINT");
    await refused(front.port);
    front.signal("SIGINT");
    expect(await front.exited).toBe(130);
    await gone(workers.map(({ pid }) => pid));
  });

  test("after the grace what still runs is ended", async () => {
    const silent = backend(() => null);
    const front = await proxy({
      config: {
        pools: { web: { backends: [silent.url] } },
        shutdown: { grace: "100ms" },
      },
    });
    const client = await connectRaw(front.port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await silent.seen(1);
    front.signal("SIGTERM");
    expect(await front.exited).toBe(0);
    await client.closed;
  });

  test("is seen at /-/ready at once, while the delay still serves", async () => {
    const { url } = backend();
    const front = await proxy({
      config: {
        pools: { web: { backends: [url] } },
        shutdown: { delay: "4s", grace: "1s" },
      },
    });
    expect((await fetch(`${front.admin}/-/ready`)).status).toBe(200);
    front.signal("SIGTERM");
    while ((await fetch(`${front.admin}/-/ready`)).status === 200) await Bun.sleep(5);
    expect((await fetch(front.url)).status).toBe(200);
    expect(await front.exited).toBe(0);
  });

  test("SIGHUP ends nothing", async () => {
    const { url } = backend();
    const front = await proxy({ config: { pools: { web: { backends: [url] } } } });
    front.signal("SIGHUP");
    while (!front.log().includes("configuration reloaded")) await Bun.sleep(5);
    expect((await fetch(front.url)).status).toBe(200);
  });

  test("leaves no file behind", async () => {
    const { url } = backend();
    const temp = join(folder, "temp");
    mkdirSync(temp);
    const socket = join(folder, "front.sock");
    const front = await proxy({
      config: {
        listen: [{ address: "127.0.0.1:0" }, { address: `unix:${socket}` }],
        pools: { web: { backends: [url], strategy: "./mine.ts" } },
      },
      files: { "mine.ts": STRATEGY },
      env: { TMPDIR: temp },
    });
    const { pid } = front;
    expect((await fetch(front.url)).status).toBe(200);
    expect(readdirSync(temp)).not.toEqual([]);
    await front.stop();
    expect(readdirSync(temp)).toEqual([]);
    expect(existsSync(socket)).toBe(false);
    const shared = existsSync("/dev/shm") ? readdirSync("/dev/shm") : [];
    expect(shared.filter((name) => name.includes(`leastwise-${pid}-`))).toEqual([]);
  });

  test("does not wait for a strategy that loops: its worker is killed and named", async () => {
    const { url } = backend();
    const front = await proxy({
      config: {
        pools: { web: { backends: [url], strategy: "./loop.ts" } },
        workers: 1,
        watchdog: false,
        shutdown: { grace: "100ms" },
      },
      files: {
        "loop.ts": `export default { name: "loop", apiVersion: 1, create: () => ({
          score(backend, { request }) { while (request.path === "/loop"); return 0; } }) };`,
      },
    });
    const [worker] = await front.workers();
    const client = await connectRaw(front.port);
    client.send("GET /loop HTTP/1.1\r\nHost: a\r\n\r\n");
    while ((await front.workers())[0]?.pendingRequests !== null) await Bun.sleep(5);
    front.signal("SIGTERM");
    expect(await front.exited).toBe(0);
    expect(front.log()).toContain("did not stop and was killed");
    expect(front.log()).toContain(`"pid":${worker?.pid}`);
    await client.closed;
  });

  test("a worker in an endless loop ends, too, when its master is killed", async () => {
    const { url } = backend();
    const front = await proxy({
      // Without a watchdog, or that might end it first.
      config: {
        pools: { web: { backends: [url], strategy: "./loop.ts" } },
        workers: 1,
        watchdog: false,
      },
      files: {
        "loop.ts": `export default { name: "loop", apiVersion: 1, create: () => ({
          score(backend, { request }) {
            while (request.path === "/loop");
            return backend.inFlight;
          },
        }) };`,
      },
    });
    const workers = await front.workers();
    const client = await connectRaw(front.port);
    client.send("GET /loop HTTP/1.1\r\nHost: a\r\n\r\n");
    const stuck = async () => (await front.workers())[0] as { pendingRequests?: number | null };
    while ((await stuck()).pendingRequests !== null) await Bun.sleep(20);
    front.signal("SIGKILL");
    await front.exited;
    await gone(workers.map(({ pid }) => pid));
  });

  test("workers end when their master is killed", async () => {
    const { url } = backend();
    const front = await proxy({ config: { pools: { web: { backends: [url] } }, workers: 2 } });
    const workers = await front.workers();
    front.signal("SIGKILL");
    await front.exited;
    await gone(workers.map(({ pid }) => pid));
  });
});

describe("a worker that is killed", () => {
  test("is replaced by this program, not by what lies at its path by then", async () => {
    const { url } = backend();
    const binary = join(folder, "leastwise");
    copyFileSync(await leastwiseBinary(), binary);
    const front = await proxy({
      binary,
      config: { pools: { web: { backends: [url] } }, workers: 1 },
    });
    // As a package manager does it: the old file is gone, another one has its name.
    writeFileSync(join(folder, "new"), "#!/bin/false\n", { mode: 0o755 });
    renameSync(join(folder, "new"), binary);
    await replaced(front, 1);
    expect((await fetch(front.url)).status).toBe(200);
    rmSync(binary);
    await replaced(front, 2);
    expect((await fetch(front.url)).status).toBe(200);
  });

  test("is replaced although the temp folder was cleaned", async () => {
    const { url } = backend();
    const temp = join(folder, "temp");
    mkdirSync(temp);
    const front = await proxy({
      config: { pools: { web: { backends: [url], strategy: "./mine.ts" } }, workers: 1 },
      files: { "mine.ts": STRATEGY },
      env: { TMPDIR: temp },
    });
    for (const name of readdirSync(temp)) rmSync(join(temp, name), { recursive: true });
    await replaced(front, 1);
    expect((await fetch(front.url)).status).toBe(200);
    const [pool] = await front.pools();
    expect(pool?.strategy).toMatchObject({ name: "mine", faults: 0 });
  });

  test("and cannot be replaced leaves the proxy not ready until one can", async () => {
    const { url } = backend();
    const flag = join(folder, "broken");
    const front = await proxy({
      config: { pools: { web: { backends: [url], strategy: "./mine.ts" } }, workers: 1 },
      files: {
        "mine.ts": `import { existsSync } from "node:fs";
          if (existsSync(${JSON.stringify(flag)})) throw new Error("broken on purpose");
          ${STRATEGY}`,
      },
    });
    expect((await fetch(`${front.admin}/-/ready`)).status).toBe(200);
    writeFileSync(flag, "");
    process.kill((await front.workers())[0]?.pid ?? 0, "SIGKILL");
    while (!front.log().includes("broken on purpose")) await Bun.sleep(5);
    expect((await fetch(`${front.admin}/-/ready`)).status).toBe(503);
    rmSync(flag);
    while ((await fetch(`${front.admin}/-/ready`)).status !== 200) await Bun.sleep(5);
    expect((await fetch(front.url)).status).toBe(200);
  });
});

describe("a unix socket to listen on", () => {
  test("is served again after its worker was killed", async () => {
    const { url } = backend();
    const unix = join(folder, "front.sock");
    const config = {
      listen: [{ address: `unix:${unix}` }],
      pools: { web: { backends: [url] } },
      workers: 2,
    };
    const front = await proxy({ config });
    expect((await fetch("http://a/", { unix })).status).toBe(200);
    await replaced(front, 1);
    expect((await fetch("http://a/", { unix })).status).toBe(200);
  });

  test("is taken over when its owner was killed, the admin API's too", async () => {
    const { url } = backend();
    const unix = join(folder, "front.sock");
    const adminUnix = join(folder, "admin.sock");
    const config = {
      listen: [{ address: `unix:${unix}` }],
      admin: { address: `unix:${adminUnix}` },
      pools: { web: { backends: [url] } },
    };
    const first = await proxy({ config });
    first.signal("SIGKILL");
    await first.exited;
    expect(existsSync(unix) && existsSync(adminUnix)).toBe(true);
    await noAnswer(unix);
    await proxy({ config });
    expect((await fetch("http://a/", { unix })).status).toBe(200);
    expect((await fetch("http://a/-/ready", { unix: adminUnix })).status).toBe(200);
  });

  test("of another instance that lives is refused with its path: exit 1", async () => {
    const { url } = backend();
    const unix = join(folder, "front.sock");
    const adminUnix = join(folder, "admin.sock");
    const pools = { web: { backends: [url] } };
    await proxy({
      config: {
        listen: [{ address: `unix:${unix}` }],
        admin: { address: `unix:${adminUnix}` },
        pools,
      },
    });
    for (const [listen, admin, place] of [
      [`unix:${unix}`, "127.0.0.1:0", "--listen or listen[0].address"],
      ["127.0.0.1:0", `unix:${adminUnix}`, "--admin or admin.address"],
    ] as const) {
      const result = await serveWith(url, listen, admin);
      expect(result.exitCode).toBe(1);
      expect(result.stderr).toContain(listen === "127.0.0.1:0" ? adminUnix : unix);
      expect(result.stderr).toContain("taken by another program");
      expect(result.stderr).toContain(place);
      expect(result.stderr).not.toMatch(/\n\s+at /);
    }
    expect((await fetch("http://a/", { unix })).status).toBe(200);
    expect((await fetch("http://a/-/ready", { unix: adminUnix })).status).toBe(200);
  });

  test("is never put in the place of a file that is no socket: exit 1", async () => {
    const file = join(folder, "precious");
    writeFileSync(file, "data");
    const { url } = backend();
    for (const [listen, admin] of [
      [`unix:${file}`, "127.0.0.1:0"],
      ["127.0.0.1:0", `unix:${file}`],
    ] as const) {
      const result = await serveWith(url, listen, admin);
      expect(result.exitCode).toBe(1);
      expect(result.stderr).toContain(`${file} is a file that is no socket`);
    }
    expect(readFileSync(file, "utf8")).toBe("data");
  });

  test("in a folder that is not there: exit 1 and the path, without a stack", async () => {
    const { url } = backend();
    const missing = join(folder, "no", "front.sock");
    for (const [listen, admin] of [
      [`unix:${missing}`, "127.0.0.1:0"],
      ["127.0.0.1:0", `unix:${missing}`],
    ] as const) {
      const result = await serveWith(url, listen, admin);
      expect(result.exitCode).toBe(1);
      expect(result.stderr).toContain(missing);
      expect(result.stderr).not.toMatch(/\n\s+at /);
    }
  });
});

test("what a strategy sends to the master is ignored, and said once", async () => {
  const { url } = backend();
  const front = await proxy({
    config: { pools: { web: { backends: [url], strategy: "./sender.ts" } }, workers: 1 },
    files: {
      "sender.ts": `export default { name: "sender", apiVersion: 1, create: () => ({
        score() {
          for (const message of [null, 7, { type: "report", id: 1, report: null },
            { type: "refused", generation: 1, atRunTime: true, problems: [null] },
            { type: "failing", row: 1e9 }, { type: "started", version: "0" }]) process.send(message);
          return 0;
        } }) };`,
    },
  });
  for (let i = 0; i < 20; i++) expect((await fetch(front.url)).status).toBe(200);
  while (!front.log().includes("process.send")) await Bun.sleep(5);
  const [pool] = await front.pools();
  expect(pool).toMatchObject({ strategy: { faults: 0 }, backends: [{ requests: 20 }] });
  expect(await front.workers()).toMatchObject([{ id: 0, restarts: 0 }]);
  expect(front.log().split("process.send")).toHaveLength(2);
});

test("the ready line says for how many backends there is room", async () => {
  const { url } = backend();
  const front = await proxy({ config: { pools: { web: { backends: [url] } } } });
  expect(front.ready).toMatchObject({ backends: 1, capacity: 1025 });
});

const STRATEGY = `export default { name: "mine", apiVersion: 1, create: () => ({ score: () => 0 }) };`;

async function serveWith(url: string, listen: string, admin: string) {
  await using bare = await createBareFolder();
  return await bare.run("serve", "--backend", url, "--listen", listen, "--admin", admin);
}

/** Kills the first worker; resolves when its n-th replacement serves. */
async function replaced(front: Proxy, restarts: number): Promise<void> {
  process.kill((await front.workers())[0]?.pid ?? 0, "SIGKILL");
  for (let tries = 0; tries < 4000; tries++) {
    const told = front.log().split('"message":"worker replaced"').length - 1;
    if (told >= restarts) return;
    await Bun.sleep(5);
  }
  throw new Error(`never replaced:\n${front.log()}`);
}

/** Resolves when nobody listens on the path any more. */
async function noAnswer(unix: string): Promise<void> {
  for (let tries = 0; tries < 4000; tries++) {
    try {
      (await Bun.connect({ unix, socket: { data() {} } })).terminate();
    } catch {
      return;
    }
    await Bun.sleep(5);
  }
  throw new Error(`${unix} still answers`);
}

/** Resolves when nobody listens on the port any more. */
async function refused(port: number): Promise<void> {
  for (let tries = 0; tries < 4000; tries++) {
    try {
      (await connectRaw(port)).reset();
    } catch {
      return;
    }
    await Bun.sleep(5);
  }
  throw new Error(`port ${port} still listens`);
}

/** Resolves when none of the processes exists. */
async function gone(pids: readonly number[]): Promise<void> {
  for (let tries = 0; tries < 4000; tries++) {
    if (pids.every((pid) => !existsSync(`/proc/${pid}`))) return;
    await Bun.sleep(5);
  }
  throw new Error(`still there: ${pids.join(", ")}`);
}

test("a worker's garbage collector is told what the worker may take, unless the user has said it", async () => {
  const { url } = backend();
  const config = { workerMemory: "256MiB", workers: 1, pools: { web: { backends: [url] } } };
  const toldIn = async (env: Record<string, string>): Promise<string | undefined> => {
    const [worker] = await (await proxy({ config, env })).workers();
    const variables = readFileSync(`/proc/${worker?.pid}/environ`, "latin1").split("\0");
    return variables.find((each) => each.startsWith("BUN_JSC_forceRAMSize="))?.split("=")[1];
  };
  expect(await toldIn({})).toBe(String(256 * 2 ** 20));
  expect(await toldIn({ BUN_JSC_forceRAMSize: "1000000000" })).toBe("1000000000");
});
