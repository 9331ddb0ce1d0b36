/** Sticky sessions through the compiled binary: over workers, restarts, reloads and drains. */
import { describe, expect, test } from "bun:test";
import type { UserConfig } from "../../src/index.ts";
import { useHarness } from "../_support/harness.ts";
import type { Proxy } from "../_support/proxy.ts";
import { connectRaw } from "../_support/raw-client.ts";

const { backend, proxy } = useHarness();

const SECRET = "a secret of some length";

interface Answer {
  readonly name: string;
  /** As a browser sends it back; null when none was set. */
  readonly cookie: string | null;
  readonly fields: string[];
}

/** Over a connection of its own, so that any worker may get it. */
async function ask(front: Proxy, cookie: string | null = null): Promise<Answer> {
  const headers = { connection: "close", ...(cookie === null ? {} : { cookie }) };
  const answer = await fetch(front.url, { headers });
  const fields = answer.headers.getSetCookie();
  const field = fields.find((each) => each.startsWith("lw=")) ?? null;
  const name = answer.status === 200 ? await answer.text() : String(answer.status);
  return { name, cookie: field?.split(";")[0] ?? null, fields };
}

/** Where it was answered, of so many requests. */
async function namesOf(front: Proxy, requests: number, cookie: string | null): Promise<string[]> {
  const names = new Set<string>();
  for (let i = 0; i < requests; i++) names.add((await ask(front, cookie)).name);
  return [...names].toSorted();
}

/** A session at that backend. */
async function sessionAt(front: Proxy, name: string): Promise<string> {
  for (;;) {
    const answer = await ask(front);
    if (answer.name === name && answer.cookie !== null) return answer.cookie;
  }
}

function three(affinity: { secret?: string; ttl?: string } = {}) {
  const names = ["a", "b", "c"];
  const running = names.map((name) => backend(() => name));
  const backends = running.map(({ url }, index) => ({ url, id: names[index] ?? "" }));
  const config = { pools: { web: { backends, affinity } }, workers: 2 } satisfies UserConfig;
  return { running, backends, config };
}

describe("a session", () => {
  test("stays at its backend in both workers, and the backend sees the cookie as it came", async () => {
    const { running, config } = three({ secret: SECRET });
    const front = await proxy({ config });
    const cookie = await sessionAt(front, "b");
    expect(cookie).toMatch(/^lw=[\w-]{16}\.[0-9a-z]+\.[\w-]{22}$/);
    const before = running[1]?.requests.length ?? 0;
    expect(await namesOf(front, 40, cookie)).toEqual(["b"]);
    const last = running[1]?.requests.at(-1);
    expect(last?.header("cookie")).toBe(cookie);
    expect(running[1]?.requests.length).toBe(before + 40);
    // Without it, everybody is somebody's turn.
    expect(await namesOf(front, 40, null)).toEqual(["a", "b", "c"]);
    expect((await ask(front, cookie)).fields).toEqual([]);
    expect(front.log()).not.toContain(SECRET);
  });

  test("goes on after a restart with the same secret", async () => {
    const { config } = three({ secret: SECRET });
    const first = await proxy({ config });
    const cookie = await sessionAt(first, "c");
    await first.stop();
    const second = await proxy({ config });
    expect(await namesOf(second, 20, cookie)).toEqual(["c"]);
    expect((await ask(second, cookie)).cookie).toBeNull();
  });

  test("without a configured secret holds in all workers, also later ones, and over reloads, but no restart", async () => {
    const { config } = three();
    const front = await proxy({ config });
    expect(front.log().match(/sticky sessions end with this process/g)).toHaveLength(1);
    const cookie = await sessionAt(front, "a");
    expect(await namesOf(front, 20, cookie)).toEqual(["a"]);
    expect(await front.reload()).toMatchObject({ ok: true });
    const [worker] = await front.workers();
    process.kill(worker?.pid ?? 0, "SIGKILL");
    while (!front.log().includes("worker replaced")) await Bun.sleep(5);
    expect(await namesOf(front, 40, cookie)).toEqual(["a"]);
    expect(front.log().match(/sticky sessions end with this process/g)).toHaveLength(1);
    await front.stop();
    const after = await proxy({ config });
    expect((await ask(after, cookie)).cookie).not.toBeNull();
  });

  test("that nobody signed, or another secret, is an ordinary request's", async () => {
    const { config } = three({ secret: SECRET });
    const front = await proxy({ config });
    const cookie = await sessionAt(front, "b");
    for (const wrong of [cookie.slice(0, -6), `lw=b`, "lw=", `${cookie.slice(0, 12)}!`]) {
      const answer = await ask(front, wrong);
      expect(["a", "b", "c"]).toContain(answer.name);
      expect(answer.cookie).not.toBeNull();
    }
    const web = { ...config.pools.web, affinity: { secret: "another secret by now" } };
    front.configure({ ...config, pools: { web } });
    expect(await front.reload()).toMatchObject({ ok: true });
    expect((await ask(front, cookie)).cookie).not.toBeNull();
  });

  test("goes elsewhere when its backend is gone, in the same request, and stays there", async () => {
    const { running, config } = three({ secret: SECRET });
    const front = await proxy({ config });
    const cookie = await sessionAt(front, "b");
    running[1]?.stop();
    const moved = await ask(front, cookie);
    expect(["a", "c"]).toContain(moved.name);
    expect(moved.cookie).not.toBeNull();
    expect(await namesOf(front, 20, moved.cookie)).toEqual([moved.name]);
  });

  test("is at the backend with its id, also when a reload gives that another address", async () => {
    const { backends, config } = three({ secret: SECRET });
    const front = await proxy({ config });
    const cookie = await sessionAt(front, "b");
    const moved = backend(() => "new b");
    const changed = backends.map((each) => (each.id === "b" ? { ...each, url: moved.url } : each));
    front.configure({ ...config, pools: { web: { ...config.pools.web, backends: changed } } });
    expect(await front.reload()).toMatchObject({ ok: true });
    expect(await namesOf(front, 10, cookie)).toEqual(["new b"]);
  });

  test("goes through a stream and a pipeline like any request", async () => {
    const { config } = three({ secret: SECRET });
    const front = await proxy({ config });
    const cookie = await sessionAt(front, "c");
    const client = await connectRaw(front.port);
    const one = `GET / HTTP/1.1\r\nHost: a\r\nCookie: x=1\r\nCookie: ${cookie}\r\n\r\n`;
    client.send(one.repeat(3));
    await client.until((text) => (text.match(/\r\n\r\nc/g) ?? []).length === 3);
    expect(client.received()).not.toMatch(/set-cookie/i);
    client.end();
  });
});

describe("a drained backend", () => {
  test("keeps its sessions in both workers and gets no new ones, until it is removed", async () => {
    const { backends, config } = three({ secret: SECRET });
    const front = await proxy({ config });
    const cookie = await sessionAt(front, "a");
    const drained = await front.run("drain", "a");
    expect(drained.stdout).toBe(
      "a in pool web gets no new sessions; those it has go on there until it is removed; it has none in flight\n",
    );
    expect(await namesOf(front, 20, cookie)).toEqual(["a"]);
    expect(await namesOf(front, 40, null)).toEqual(["b", "c"]);
    const left = backends.filter(({ id }) => id !== "a");
    front.configure({ ...config, pools: { web: { ...config.pools.web, backends: left } } });
    expect(await front.reload()).toMatchObject({ ok: true });
    const moved = await ask(front, cookie);
    expect(["b", "c"]).toContain(moved.name);
    expect(moved.cookie).not.toBeNull();
  });
});

test("the status tells of sticky sessions", async () => {
  const { config } = three({ secret: SECRET });
  const front = await proxy({ config });
  expect((await front.pools())[0]?.affinity).toBe("lw");
  const { stdout } = await front.run("status");
  expect(stdout).toMatch(/^pool web: .*, sticky sessions by the cookie lw$/m);
});

test("a strategy is told of the attempts that a session has placed", async () => {
  const { running, backends } = three();
  const strategy = `
    const counted = { start: 0, end: 0, pick: 0 };
    export default {
      name: "counting",
      apiVersion: 1,
      create: (env) => ({
        pick: (candidates) => (counted.pick++, candidates[0]),
        onStart: () => void counted.start++,
        onEnd: () => {
          counted.end++;
          env.log.info(JSON.stringify(counted));
        },
      }),
    };
  `;
  const web = { backends, affinity: { secret: SECRET }, strategy: "./counting.js" };
  const front = await proxy({
    config: { pools: { web }, workers: 1 },
    files: { "counting.js": strategy },
  });
  const { cookie } = await ask(front);
  for (let i = 0; i < 3; i++) await ask(front, cookie);
  const told = '{\\"start\\":4,\\"end\\":4,\\"pick\\":1}';
  while (!front.log().includes(told)) await Bun.sleep(5);
  expect(running[0]?.requests).toHaveLength(4);
});
