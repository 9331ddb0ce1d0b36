/** A configuration that changes while the compiled binary serves. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { UserConfig } from "../../src/index.ts";
import { createBareFolder } from "../_support/binary.ts";
import { useHarness } from "../_support/harness.ts";
import type { Proxy } from "../_support/proxy.ts";
import { connectRaw, exchangeRaw } from "../_support/raw-client.ts";

const { backend, proxy } = useHarness();

async function bodyOf(url: string): Promise<string> {
  return (await fetch(url)).text();
}

function logged(front: Proxy, message: string): Record<string, unknown>[] {
  const lines = front.log().split("\n").filter(Boolean);
  return lines
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter((line) => line["message"] === message);
}

async function answersWith(front: Proxy, body: string): Promise<void> {
  while ((await bodyOf(front.url)) !== body) await Bun.sleep(5);
}

/** Answers its requests itself: it says which version of the file it is, and how many picks it has made. */
function strategy(version: string): string {
  return `let picks = 0;
    export default { name: "mine", apiVersion: 1, create: (env) => ({
      score() { env.log.info("${version} " + ++picks); return 0; } }) };`;
}

describe("a reload", () => {
  test("brings other backends and routes, and says so", async () => {
    const [one, two] = [backend(() => "one"), backend(() => "two")];
    const front = await proxy({ config: { pools: { web: { backends: [one.url] } }, workers: 2 } });
    expect(await bodyOf(front.url)).toBe("one");
    front.configure({
      pools: { web: { backends: [two.url] }, api: { backends: [one.url] } },
      routes: [{ path: "/api/*", pool: "api" }, { pool: "web" }],
      workers: 2,
    });
    const { exitCode, stdout, stderr } = await front.run("reload");
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toMatch(/^reloaded in \d+ ms\n$/);
    for (let i = 0; i < 8; i++) expect(await bodyOf(front.url)).toBe("two");
    expect(await bodyOf(`${front.url}/api/x`)).toBe("one");
    expect(logged(front, "configuration reloaded")).toMatchObject([{ trigger: "admin API" }]);
    expect((await front.run("status")).stdout).toMatch(/^config .*json, loaded .*, 1 reload$/m);
  });

  test("comes with SIGHUP, too", async () => {
    const [one, two] = [backend(() => "one"), backend(() => "two")];
    const front = await proxy({ config: { pools: { web: { backends: [one.url] } } } });
    front.configure({ pools: { web: { backends: [two.url] } } });
    front.signal("SIGHUP");
    await answersWith(front, "two");
    // One worker has it before the others do.
    while (logged(front, "configuration reloaded").length === 0) await Bun.sleep(5);
    expect(logged(front, "configuration reloaded")).toMatchObject([{ trigger: "SIGHUP" }]);
  });

  test("keeps what is known of backends that stay", async () => {
    const [good, down, failing] = [
      backend((request) => (request.target === "/up" ? "ok" : "good")),
      backend((request) => ({ status: request.target === "/up" ? 500 : 200 })),
      backend((request) => (request.target === "/up" ? "ok" : { status: 500 })),
    ];
    const all = [good, down, failing].map(({ url }) => url);
    const health = { path: "/up", interval: "1h" };
    const ejection = { failures: 2, base: "1h", max: "1h" };
    const web = { backends: all, health, ejection };
    const front = await proxy({ config: { pools: { web }, workers: 2 } });
    await front.until("one down", ([pool]) => pool?.backends[1]?.health === "unhealthy");
    while ((await front.pools())[0]?.backends[2]?.ejectedUntil === null) await fetch(front.url);
    for (let i = 0; i < 10; i++) expect(await bodyOf(front.url)).toBe("good");
    const before = (await front.pools())[0]?.backends ?? [];
    const added = backend((request) => (request.target === "/up" ? "ok" : "good"));
    const probes = good.requests.filter(({ target }) => target === "/up").length;
    front.configure({
      pools: { web: { ...web, backends: [added.url, ...all.toReversed()] } },
      workers: 2,
    });
    expect(await front.reload()).toMatchObject({ ok: true });
    const [first, ...after] = (await front.pools())[0]?.backends ?? [];
    const known = (view: typeof after) => view.map((each) => ({ ...each, ejectedUntil: null }));
    expect(known(after)).toEqual(known(before.toReversed()));
    const until = (view: typeof after) =>
      view.map(({ ejectedUntil }) => (ejectedUntil === null ? 0 : Date.parse(ejectedUntil)));
    const [untilAfter, untilBefore] = [until(after), until(before.toReversed())];
    // It is computed from another clock each time.
    const changedMs = untilAfter.map((ms, index) => Math.abs(ms - (untilBefore[index] ?? 0)));
    expect(Math.max(...changedMs)).toBeLessThan(10_000);
    expect(first).toMatchObject({ url: added.url, requests: 0, failures: 0 });
    for (let i = 0; i < 10; i++) expect(await bodyOf(front.url)).toBe("good");
    // Who is known is not probed anew for a reload.
    expect(good.requests.filter(({ target }) => target === "/up").length).toBe(probes);
  });

  test("lets requests to removed backends finish, and then closes their connections", async () => {
    const slow = backend((_request, wire) => {
      wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    });
    const other = backend(() => "other");
    const front = await proxy({ config: { pools: { web: { backends: [slow.url] } }, workers: 1 } });
    const client = await connectRaw(front.port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.until((text) => text.includes("abc"));
    front.configure({ pools: { web: { backends: [other.url] } }, workers: 1 });
    expect(await front.reload()).toMatchObject({ ok: true });
    expect(await bodyOf(front.url)).toBe("other");
    for (const wire of slow.wires) wire.write("3\r\ndef\r\n0\r\n\r\n");
    await client.until((text) => text.endsWith("0\r\n\r\n"));
    expect(client.received()).toContain("def");
    while (slow.openConnections > 0) await Bun.sleep(5);
    // The client's connection stays, and its next request has the new plan.
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.until((text) => text.endsWith("other"));
  });

  test("keeps listeners, opens new ones and closes those that are gone", async () => {
    const { url } = backend();
    const web = { backends: [url] };
    const front = await proxy({ config: { pools: { web }, workers: 2 } });
    const client = await connectRaw(front.port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.until((text) => text.endsWith("ok"));
    const spare = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const { port } = spare;
    spare.stop(true);
    const listen = [{ address: "127.0.0.1:0" }, { address: `127.0.0.1:${port}` }];
    front.configure({ listen, pools: { web }, workers: 2 });
    expect(await front.reload()).toMatchObject({ ok: true });
    expect(await bodyOf(`http://127.0.0.1:${port}/`)).toBe("ok");
    const before = client.received().length;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.until((text) => text.length > before && text.endsWith("ok"));
    front.configure({ pools: { web }, workers: 2 });
    expect(await front.reload()).toMatchObject({ ok: true });
    expect(await bodyOf(front.url)).toBe("ok");
    const refused = async () =>
      connectRaw(port).then(
        () => false,
        () => true,
      );
    while (!(await refused())) await Bun.sleep(5);
  });

  test("leaves a strategy that has not changed what it has learnt, and takes a changed one", async () => {
    const { url } = backend();
    const web = { backends: [url], strategy: "./mine.ts" };
    const front = await proxy({
      config: { pools: { web }, workers: 1 },
      files: { "mine.ts": strategy("first") },
    });
    await bodyOf(front.url);
    const [before] = await front.pools();
    front.configure({ pools: { web: { ...web, timeouts: { idle: "30s" } } }, workers: 1 });
    expect(await front.reload()).toMatchObject({ ok: true });
    await bodyOf(front.url);
    expect(logged(front, "first 2")).toHaveLength(1);
    writeFileSync(join(front.folder, "mine.ts"), strategy("second"));
    expect(await front.reload()).toMatchObject({ ok: true });
    await bodyOf(front.url);
    expect(logged(front, "second 1")).toHaveLength(1);
    const [after] = await front.pools();
    expect(after?.strategy.version).not.toBe(before?.strategy.version as string);
  });

  test("leaves its instance to a strategy that changes its options in place", async () => {
    const front = await proxy({
      files: {
        "mine.ts": `export default { name: "mine", apiVersion: 1,
          parseOptions(options) { options.seen = (options.seen ?? 0) + 1; return options; },
          create(env) { env.log.info("made"); return { score: () => 0 }; } };`,
      },
      config: {
        workers: 1,
        pools: {
          web: {
            backends: [backend().url],
            strategy: { use: "./mine.ts", options: { to: 1 } },
          },
        },
      },
    });
    expect((await front.run("reload")).exitCode).toBe(0);
    expect(logged(front, "made")).toHaveLength(1);
  });

  test("leaves start flags on top of the file", async () => {
    const { url } = backend();
    const front = await proxy({
      config: { pools: { web: { backends: [url] } } },
      flags: ["--listen", "127.0.0.1:0", "--workers", "1"],
    });
    front.configure({
      listen: [{ address: "127.0.0.1:1" }],
      pools: { web: { backends: [url] } },
      workers: 7,
    });
    expect(await front.reload()).toMatchObject({ ok: true });
    expect(await bodyOf(front.url)).toBe("ok");
    expect(await front.workers()).toHaveLength(1);
  });

  test("is asked for many times at once, and made twice", async () => {
    const [one, two] = [backend(() => "one"), backend(() => "two")];
    const web = { backends: [one.url], strategy: "./mine.ts" };
    const front = await proxy({ config: { pools: { web } }, files: { "mine.ts": strategy("1") } });
    const file = (name: string): string => join(front.folder, name);
    // The first one does not end before all others are there.
    writeFileSync(
      file("mine.ts"),
      `import { existsSync, writeFileSync } from "node:fs";
      if (process.argv.includes("__worker")) {
        writeFileSync("begun", "");
        while (!existsSync("go")) await new Promise((resolve) => setTimeout(resolve, 5));
      }
      ${strategy("2")}`,
    );
    const first = front.reload();
    while (!existsSync(file("begun"))) await Bun.sleep(5);
    front.configure({ pools: { web: { ...web, backends: [two.url] } } });
    const { host, port } = new URL(front.admin);
    const ask = (line: string): Promise<string> =>
      exchangeRaw(Number(port), `${line} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    const others = Array.from({ length: 10 }, () => ask("POST /api/v1/reload"));
    // Asked last: once it is answered the others have been read.
    expect(await ask("GET /-/ready")).toStartWith("HTTP/1.1 200 ");
    writeFileSync(file("go"), "");
    for (const answer of await Promise.all(others)) expect(answer).toContain('"ok":true');
    expect(await first).toMatchObject({ ok: true });
    // The last one that was asked for found the last config.
    expect(await bodyOf(front.url)).toBe("two");
    expect(logged(front, "configuration reloaded")).toHaveLength(2);
  });

  test("does not hold up a stop, and leaves nothing behind", async () => {
    const { url } = backend();
    await using folder = await createBareFolder();
    const front = await proxy({
      config: { pools: { web: { backends: [url] } } },
      env: { TMPDIR: folder.path },
    });
    writeFileSync(
      join(front.folder, "slow.ts"),
      `import { writeFileSync } from "node:fs";
      writeFileSync(${JSON.stringify(join(front.folder, "begun"))}, "");
      for (;;);`,
    );
    front.configure({ pools: { web: { backends: [url], strategy: "./slow.ts" } } });
    front.signal("SIGHUP");
    while (!existsSync(join(front.folder, "begun"))) await Bun.sleep(5);
    const startedAt = performance.now();
    expect(await front.stop()).toBe(0);
    // The child with the endless loop is given 5 s.
    expect(performance.now() - startedAt).toBeLessThan(4000);
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test("leaves no bundle behind but that of the version before", async () => {
    const { url } = backend();
    await using folder = await createBareFolder();
    const front = await proxy({
      config: { pools: { web: { backends: [url], strategy: "./mine.ts" } } },
      files: { "mine.ts": strategy("0") },
      env: { TMPDIR: folder.path },
    });
    for (let version = 1; version <= 3; version++) {
      writeFileSync(join(front.folder, "mine.ts"), strategy(String(version)));
      expect(await front.reload()).toMatchObject({ ok: true });
    }
    writeFileSync(join(front.folder, "mine.ts"), `${strategy("4")}; throw new Error("no");`);
    expect(await front.reload()).toMatchObject({ ok: false });
    const [temp = ""] = readdirSync(folder.path);
    const bundles = readdirSync(join(folder.path, temp)).filter((name) => name.endsWith(".mjs"));
    expect(bundles).toHaveLength(2);
    // One of them is in force, the other one is there for a rollback.
    process.kill((await front.workers())[0]?.pid ?? 0, "SIGKILL");
    while (logged(front, "worker replaced").length === 0) await Bun.sleep(5);
    await bodyOf(front.url);
    expect(front.log()).toContain('"3 1"');
  });

  test("is what a worker comes up with that was killed afterwards", async () => {
    const [one, two] = [backend(() => "one"), backend(() => "two")];
    const front = await proxy({ config: { pools: { web: { backends: [one.url] } }, workers: 1 } });
    front.configure({ pools: { web: { backends: [two.url] } }, workers: 1 });
    expect(await front.reload()).toMatchObject({ ok: true });
    process.kill((await front.workers())[0]?.pid ?? 0, "SIGKILL");
    while (logged(front, "worker replaced").length === 0) await Bun.sleep(5);
    expect(await bodyOf(front.url)).toBe("two");
  });
});

describe("a reload that is refused", () => {
  const busy = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const good = { strategy: "./mine.ts" };
  const cases: readonly (readonly [
    what: string,
    change: (pool: { backends: string[] }) => object,
    files: Record<string, string>,
    reason: RegExp,
  ])[] = [
    [
      "a key that there is not",
      (web) => ({ pools: { web: { ...web, weigth: 1 } } }),
      {},
      /pools\.web\.weigth: unknown key/,
    ],
    ["no pools", () => ({}), {}, /pools: /],
    [
      "a strategy with a syntax error",
      (web) => ({ pools: { web: { ...web, ...good } } }),
      { "mine.ts": "export default {" },
      /mine\.ts:1:\d+/,
    ],
    [
      "an address that is taken",
      (web) => ({ pools: { web }, listen: [{ address: `127.0.0.1:${busy.port}` }] }),
      {},
      /taken by another program/,
    ],
    [
      "more workers",
      (web) => ({ pools: { web }, workers: 3 }),
      {},
      /workers: found 3 while 2 run; needs a restart/,
    ],
    [
      "another token",
      (web) => ({ pools: { web }, admin: { token: "s3cret" } }),
      {},
      /admin: .*needs a restart/,
    ],
    [
      "other telemetry",
      (web) => ({ pools: { web }, telemetry: { trust: "never" } }),
      {},
      /telemetry: .*needs a restart/,
    ],
    [
      "more backends than there is room for",
      () => ({
        pools: {
          web: {
            health: false,
            backends: Array.from({ length: 1026 }, (_, port) => `http://127.0.0.1:${port + 1}`),
          },
        },
      }),
      {},
      /too many backends: there is room for 1025/,
    ],
  ];

  test.each(cases)("for %s changes nothing, and says why", async (_what, change, files, reason) => {
    const { url } = backend(() => "old");
    const web = { backends: [url] };
    const front = await proxy({ config: { pools: { web }, workers: 2 } });
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(front.folder, name), text);
    }
    front.configure({ workers: 2, ...change(web) } as UserConfig);
    const { exitCode, stdout, stderr } = await front.run("reload");
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
    expect(stderr).toStartWith("leastwise: not reloaded, the configuration before goes on\n  ");
    expect(stderr).toMatch(reason);
    expect(stderr).not.toContain("s3cret");
    expect(stderr).not.toMatch(/\n\s+at /);
    const [line] = logged(front, "reload refused, the configuration before goes on");
    expect(line?.["reason"]).toMatch(reason);
    const status = await front.run("status");
    expect(status.stdout).toContain("LAST RELOAD FAILED");
    expect(status.stdout).toMatch(reason);
    const metrics = await metricsOf(front);
    expect(metrics("leastwise_config_reloads_total")).toBe(1);
    expect(metrics("leastwise_config_last_reload_success")).toBe(0);
    for (let i = 0; i < 4; i++) expect(await bodyOf(front.url)).toBe("old");
    // And what is right again is taken.
    front.configure({ pools: { web }, workers: 2 });
    expect(await front.reload()).toMatchObject({ ok: true, problems: [] });
    const healed = await (await fetch(`${front.admin}/api/v1/reload`)).json();
    expect(healed).toMatchObject({ reloads: 2, last: { ok: true, trigger: "admin API" } });
  });

  test("is told to programs, too", async () => {
    const { url } = backend();
    const front = await proxy({ config: { pools: { web: { backends: [url] } } } });
    const good = await front.run("reload", "--json");
    expect({ ...good, stdout: JSON.parse(good.stdout) }).toMatchObject({
      exitCode: 0,
      stdout: { ok: true, problems: [] },
      stderr: "",
    });
    front.configure({ pools: { web: { backends: ["ftp://a"] } } });
    const bad = await front.run("reload", "--json");
    expect({ ...bad, stdout: JSON.parse(bad.stdout) }).toMatchObject({
      exitCode: 1,
      stdout: { ok: false, problems: [{ path: "pools.web.backends[0]" }] },
      stderr: "",
    });
    const status = JSON.parse((await front.run("status", "--json")).stdout);
    expect(status.reload).toMatchObject({ reloads: 2, last: { ok: false } });
  });

  test("by one worker alone leaves the new plan in none", async () => {
    const { url } = backend();
    const front = await proxy({
      config: { pools: { web: { backends: [url], strategy: "./mine.ts" } }, workers: 2 },
      files: { "mine.ts": strategy("first") },
    });
    const [, second] = await front.workers();
    writeFileSync(
      join(front.folder, "mine.ts"),
      `if (process.pid === ${second?.pid}) throw new Error("not in this one");${strategy("second")}`,
    );
    const report = await front.reload();
    expect(report.problems).toMatchObject([
      {
        path: expect.stringMatching(/mine\.ts:1:/),
        message: expect.stringContaining("not in this"),
      },
    ]);
    for (let i = 0; i < 20; i++) await bodyOf(front.url);
    expect(front.log()).not.toContain("second 1");
    expect(front.log()).toContain("first 1");
  });
});

async function metricsOf(front: Proxy): Promise<(name: string) => number | undefined> {
  const text = await bodyOf(`${front.admin}/metrics`);
  return (name) => {
    const line = text.split("\n").find((each) => new RegExp(`^${name}[ {]`).test(each));
    return line === undefined ? undefined : Number(line.split(" ").at(-1));
  };
}
