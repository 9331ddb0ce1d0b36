/** Starting, stopping, and addresses that are taken, with the compiled binary. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { createBareFolder } from "../_support/binary.ts";
import { useHarness } from "../_support/harness.ts";
import { connectRaw } from "../_support/raw-client.ts";

const { backend, proxy } = useHarness();

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
        shutdown: { delay: "1s", grace: "1s" },
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
    while (!front.log().includes("SIGHUP is ignored")) await Bun.sleep(5);
    expect((await fetch(front.url)).status).toBe(200);
  });

  test("leaves no file behind", async () => {
    const { url } = backend();
    const front = await proxy({ config: { pools: { web: { backends: [url] } } } });
    const { pid } = front;
    await front.stop();
    const ours = [tmpdir(), "/dev/shm"]
      .filter((folder) => existsSync(folder))
      .flatMap((folder) => readdirSync(folder));
    expect(ours.filter((name) => name.includes(`leastwise-${pid}-`))).toEqual([]);
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

/** Resolves when nobody listens on the port any more. */
async function refused(port: number): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
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
  for (let tries = 0; tries < 1000; tries++) {
    if (pids.every((pid) => !existsSync(`/proc/${pid}`))) return;
    await Bun.sleep(5);
  }
  throw new Error(`still there: ${pids.join(", ")}`);
}
