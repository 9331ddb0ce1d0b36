/** `leastwise explain`: who would get a request, who got one, and why, asked of the compiled binary. */
import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { UserConfig } from "../../src/index.ts";
import { leastwiseBinary } from "../_support/binary.ts";
import type { PoolView, Proxy } from "../_support/proxy.ts";
import { useTracing } from "../_support/traced-proxy.ts";

const { backend, proxy, tracedProxy } = useTracing();

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT = { traceparent: `00-${TRACE}-00f067aa0ba902b7-01` };

/** Sends what asks for a backend there, and learns from every request that ended. */
const LEARNING = `export default { name: "learning", apiVersion: 1,
  parseOptions: (raw) => raw ?? {},
  create({ previous, options }) {
    const ended = new Map(previous ?? []);
    return {
      score(backend, { request }) {
        if (request.headers.get("X-To") === backend.id) return -1;
        if (request.headers.has("authorization") && backend.id === "c") return -2;
        return (ended.get(backend.id) ?? 0) * (options.factor ?? 1);
      },
      onEnd({ backend }) { ended.set(backend.id, (ended.get(backend.id) ?? 0) + 1); },
      snapshot: () => [...ended],
    };
  } };`;

/** An explanation, were it not for a number that no JSON has. */
const WELL_FORMED = `{ strategy: { name: "", version: "", source: "" }, chosen: null, nobody: null,
  why: "", decidedBy: "pick", fault: null, tie: false, failOpen: false, candidates: [], excluded: [],
  shares: null, state: "none", otherWorkers: [], more: 1n }`;

interface Pick {
  readonly chosen: string | null;
  readonly shares: Record<string, number> | null;
  readonly [field: string]: unknown;
}

interface Answer {
  readonly pool: string | null;
  readonly route: string | null;
  readonly before: Pick;
  readonly after: Pick | null;
}

async function explain(front: Proxy, ...args: string[]): Promise<Answer> {
  const { exitCode, stdout, stderr } = await front.run("explain", ...args, "--json");
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  return JSON.parse(stdout) as Answer;
}

function weightsOf(pick: Pick | null): Record<string, number> {
  const candidates = (pick?.["candidates"] ?? []) as { id: string; weight: number }[];
  return Object.fromEntries(candidates.map(({ id, weight }) => [id, weight]));
}

type Pools = NonNullable<UserConfig["pools"]>;

function three(change: Partial<Pools[string]> = {}): Pools[string] {
  const backends = ["a", "b", "c"].map((id) => ({ id, url: backend().url }));
  return { backends, health: false, ejection: false, ...change };
}

function settled(pools: readonly PoolView[]): unknown {
  return pools.map(({ backends, ...pool }) => ({
    ...pool,
    backends: backends.map((each) => ({ ...each, connections: null })),
  }));
}

describe("who would get a request", () => {
  test("route, pool, candidates with their load, and what keeps the others out", async () => {
    const [busy, idle] = [backend(() => null), backend()];
    const backends = [
      { id: "busy", url: busy.url },
      { id: "idle", url: idle.url, weight: 2 },
      { id: "out", url: idle.url },
      { id: "full", url: busy.url, maxInFlight: 1 },
    ];
    const front = await proxy({
      config: {
        pools: { web: { backends, health: false }, api: three() },
        routes: [
          { host: "api.example", path: "/v1/*", pool: "api" },
          { host: "web.example", pool: "web" },
        ],
        workers: 1,
      },
    });
    await front.run("drain", "out");
    const abort = new AbortController();
    const waiting: Promise<unknown>[] = [];
    // One at a time: whoever holds a request keeps it, and the idle one answers.
    for (let sent = 1, held = ""; held !== "1,0,0,1"; sent++) {
      const headers = { host: "web.example" };
      waiting.push(fetch(front.url, { headers, signal: abort.signal }).catch(() => null));
      const [web] = await front.until("the request is placed", ([pool]) => {
        const all = pool?.backends ?? [];
        const placed = all.reduce((sum, { requests }) => sum + requests, 0);
        return placed === sent && all[1]?.inFlight === 0;
      });
      held = web?.backends.map(({ inFlight }) => inFlight).join() ?? "";
    }
    const before = await front.pools();
    const { exitCode, stdout } = await front.run("explain", "--url", "http://web.example/x?y=1");
    expect(exitCode).toBe(0);
    expect(stdout).toBe(
      "GET web.example/x?y=1\nroute web.example/*, pool web, strategy least-connections\n\n" +
        "idle gets it: least-connections gives it the lowest score, 0\n" +
        "BACKEND  IN FLIGHT  WEIGHT  SCORE\n" +
        "idle     0          2       0      <- gets it\n" +
        "busy     1          1       1\n" +
        "out      0          1              draining\n" +
        "full     1          1              full\n",
    );
    // But for connections: a request in flight may still be opening its own.
    expect(settled(await front.pools())).toEqual(settled(before));
    expect(await explain(front, "--url", "http://api.example/v1/x")).toMatchObject({
      pool: "api",
      route: "api.example/v1/*",
    });
    expect(await explain(front, "--url", "/anything", "--pool", "api")).toMatchObject({
      pool: "api",
      route: null,
    });
    const nowhere = await front.run("explain", "--url", "/none");
    expect(nowhere).toMatchObject({
      exitCode: 0,
      stdout: "GET /none\nno route leads anywhere: the client gets a 404\n",
    });
    abort.abort();
    await Promise.all(waiting);
  });

  test("and what would change, with what the running instance has learnt, on a copy", async () => {
    const front = await proxy({
      config: {
        pools: { web: three({ strategy: { use: "./mine.ts", options: { factor: 10 } } }) },
        workers: 1,
      },
      files: { "mine.ts": LEARNING },
    });
    for (const id of ["a", "a", "a", "b", "b", "c"]) {
      await (await fetch(front.url, { headers: { "x-to": id } })).text();
    }
    const answer = await explain(front, "--url", "/", "--drain", "c", "--weight", "a=3");
    expect(answer.before).toMatchObject({
      chosen: "c",
      state: "snapshot",
      decidedBy: "score",
      shares: null,
      candidates: [
        { id: "a", score: 30, weight: 1 },
        { id: "b", score: 20 },
        { id: "c", score: 10 },
      ],
    });
    expect(answer.after).toMatchObject({
      chosen: "b",
      candidates: [
        { id: "a", score: 30, weight: 3 },
        { id: "b", score: 20 },
      ],
      excluded: [{ id: "c", reason: "draining", inFlight: 0, weight: 1 }],
    });
    const text = await front.run("explain", "--url", "/", "--drain", "c", "--drain", "b");
    expect(text.stdout).toContain(
      "with c draining, b draining\na gets it: it is the only candidate",
    );
    expect(text.stdout).toEndWith("\n\na would get it instead of c\n");
    const none = await explain(
      front,
      "--url",
      "/",
      ...["a", "b", "c"].flatMap((id) => ["--drain", id]),
    );
    expect(none.after).toMatchObject({
      chosen: null,
      nobody: "draining",
      why: "nobody gets it: every backend is taken out, and the client gets a 503",
      excluded: [{ reason: "draining" }, { reason: "draining" }, { reason: "draining" }],
    });
    const header = await explain(front, "--url", "/", "--header", "x-to: b");
    expect(header.before).toMatchObject({ chosen: "b" });
    // Nobody is draining, and the instance has learnt nothing from it.
    expect((await front.pools())[0]?.backends.map(({ draining }) => draining)).toEqual([
      false,
      false,
      false,
    ]);
    expect((await explain(front, "--url", "/")).before).toMatchObject({
      candidates: [{ score: 30 }, { score: 20 }, { score: 10 }],
    });
  });

  test("another strategy is run by whoever asks, with the same facts", async () => {
    const front = await proxy({
      config: {
        pools: { web: three({ strategy: { use: "./mine.ts", options: { factor: 10 } } }) },
        workers: 1,
      },
      files: {
        "mine.ts": LEARNING,
        "last.ts": `import { writeFileSync } from "node:fs";
          writeFileSync("ran-by", String(process.ppid));
          export default { name: "last", apiVersion: 1, create: () => ({ pick: (list) => list.at(-1) }) };`,
      },
    });
    for (const id of ["b", "b", "c"]) await fetch(front.url, { headers: { "x-to": id } });
    const { stdout } = await front.run("explain", "--url", "/", "--strategy", "./last.ts");
    expect(stdout).toContain("c gets it: last picks it (pick decides, no scores)\n");
    expect(stdout).toMatch(/\na +0 +1 +-\n/);
    expect(stdout).toEndWith("\n\nc would get it instead of a\n");
    expect(readFileSync(join(front.folder, "ran-by"), "utf8")).not.toBe(String(front.pid));
    // A changed version of its own file has its options, and what it knows.
    const turned = LEARNING.replace("return (ended", "return -(ended");
    writeFileSync(join(front.folder, "mine.ts"), turned);
    const { before, after } = await explain(front, "--url", "/", "--strategy", "mine.ts");
    expect(before).toMatchObject({ chosen: "a" });
    expect(after).toMatchObject({
      chosen: "b",
      state: "snapshot",
      candidates: [
        { id: "a", score: 0 },
        { id: "b", score: -20 },
        { id: "c", score: -10 },
      ],
    });
    const asked = await fetch(`${front.admin}/api/v1/explain`, {
      method: "POST",
      body: JSON.stringify({ url: "/", strategy: join(front.folder, "last.ts") }),
    });
    expect(asked.status).toBe(400);
    const missing = await front.run("explain", "--url", "/", "--strategy", "./none.ts");
    expect(missing).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("--strategy: found"),
    });
  });

  test("where chance decides, the shares of 1,000 picks", async () => {
    const pools = { web: three({ strategy: "random" }), tied: three() };
    const front = await proxy({
      config: { pools, routes: [{ path: "/tied", pool: "tied" }, { pool: "web" }], workers: 2 },
    });
    const random = await explain(front, "--url", "/", "--weight", "a=8");
    const shares = Object.values(random.before.shares ?? {});
    expect(shares.reduce((sum, each) => sum + each, 0)).toBe(1000);
    for (const share of shares) expect(Math.abs(share - 333)).toBeLessThan(80);
    expect(random.after?.chosen).toBe("a");
    expect(Math.abs((random.after?.shares?.["a"] ?? 0) - 800)).toBeLessThan(60);
    const tied = await explain(front, "--url", "/tied", "--weight", "a=8");
    expect(tied.before).toMatchObject({ tie: true, decidedBy: "score" });
    expect(tied.after?.shares).toEqual({ a: 800, b: 100, c: 100 });
    const { stdout } = await front.run("explain", "--url", "/");
    expect(stdout).toContain("chance has a part in it (pick decides, no scores): ");
    expect(stdout).toContain("OF 1,000 PICKS");
  });

  test("a strategy that loops, exits or throws on its copy costs the proxy nothing", async () => {
    const front = await proxy({
      config: { pools: { web: three({ strategy: "./mine.ts" }) }, workers: 1 },
      files: {
        "mine.ts": `export default { name: "mine", apiVersion: 1, create: () => ({ pick(list, { request }) {
          if (request.path === "/loop") for (;;);
          if (request.path === "/exit") process.exit(3);
          const forged = { kind: "done", value: { why: 7 }, stack: "Error: oops" };
          if (request.path === "/forge") process.send(forged);
          if (request.path === "/forge-well") process.send({ ...forged, value: ${WELL_FORMED} });
          if (request.path === "/forge-bug") process.send({ ...forged, kind: "broken" });
          if (request.path === "/throw") throw new Error("not that one");
          if (request.path === "/refuse") return null;
          return list.at(-1); } }) };`,
      },
    });
    const asked = (path: string) => front.run("explain", "--url", path);
    const looping = asked("/loop");
    expect((await fetch(front.url)).status).toBe(200);
    const looped = await looping;
    expect(looped.exitCode).toBe(1);
    expect(looped.stderr).toMatch(/mine.ts: did not finish within 5 s: is there an endless loop/);
    const ended = await asked("/exit");
    expect(ended.exitCode).toBe(1);
    expect(ended.stderr).toContain("ended its process with exit code 3 while it was asked");
    for (const path of ["/forge", "/forge-well", "/forge-bug"]) {
      const forged = await asked(path);
      expect(forged.exitCode).toBe(1);
      expect(forged.stderr).toMatch(
        / answered 422: .*mine.ts: what its process answers is not from leastwise: does it use process.send\?\n$/,
      );
    }
    expect((await asked("/throw")).stdout).toContain("because pick threw: not that one\n");
    expect((await asked("/refuse")).stdout).toContain("mine refuses it: the client gets a 503\n");
    expect((await asked("/")).stdout).toContain(
      "c gets it: mine picks it (pick decides, no scores)\n",
    );
    expect(await front.workers()).toMatchObject([{ restarts: 0, state: "serving" }]);
    expect((await front.pools())[0]?.strategy).toMatchObject({ faults: 0, quarantined: false });
  }, 60_000);

  test("a snapshot that no other process can be given ends no worker, and is a fault", async () => {
    // Its trial is with made-up backends. A WebAssembly.Module is copied within a process, and not beyond.
    const front = await proxy({
      config: { pools: { web: three({ strategy: "./mine.ts" }) }, workers: 2 },
      files: {
        "mine.ts": `export default { name: "mine", apiVersion: 1, create() {
          let module = 1;
          return { score: () => 0,
            onPoolChange(list) {
              const empty = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);
              if (list.some(({ id }) => id === "c")) module = new WebAssembly.Module(empty);
            },
            snapshot: () => ({ module }) }; } };`,
      },
    });
    expect((await explain(front, "--url", "/")).before).toMatchObject({ state: "none" });
    expect((await fetch(front.url)).status).toBe(200);
    const whole = { restarts: 0, state: "serving" };
    expect(await front.workers()).toMatchObject([whole, whole]);
    // One of each worker.
    const [pool] = await front.pools();
    expect(pool?.strategy).toMatchObject({ faults: 2, quarantined: false });
    expect(front.log()).toContain("strategy fault: snapshot threw: DataCloneError");
  });

  test("a client's session decides before the strategy, also at a backend that is draining", async () => {
    const backends = ["a", "b", "c"].map((id) => ({ id, url: backend(() => id).url }));
    const web = { backends, health: false, strategy: "random", affinity: {} } as const;
    const front = await proxy({ config: { pools: { web }, workers: 1 } });
    const first = await fetch(front.url);
    const at = await first.text();
    const [cookie = ""] = (first.headers.getSetCookie()[0] ?? "").split(";");
    const header = ["--url", "/", "--header", `Cookie: x=1; ${cookie}`];
    const whole = { chosen: at, decidedBy: "affinity", shares: null };
    expect((await explain(front, ...header)).before).toMatchObject(whole);
    const { before, after } = await explain(front, ...header, "--drain", at);
    expect(before).toMatchObject({ ...whole, why: `${at} gets it: the client's session is there` });
    expect(after).toMatchObject({ ...whole, excluded: [{ id: at, reason: "draining" }] });
    const other = await explain(front, ...header, "--strategy", "round-robin");
    expect(other.after).toMatchObject(whole);
    for (const { id } of backends) await front.run("drain", id);
    expect(await (await fetch(front.url, { headers: { cookie } })).text()).toBe(at);
    expect((await explain(front, ...header)).before).toMatchObject(whole);
    const forged = [...header.slice(0, 3), `Cookie: ${cookie.slice(0, -2)}`];
    expect((await explain(front, ...forged)).before).toMatchObject({ nobody: "draining" });
  });

  test("a backend in its slow start has as much of its weight as it has there", async () => {
    const slowStart = { window: "1h", minWeight: 0.2 };
    const front = await proxy({ config: { pools: { web: three({ slowStart }) }, workers: 1 } });
    await front.run("drain", "b");
    await front.run("undrain", "b");
    const weights = { before: { a: 1, b: 0.2 }, after: { a: 1, b: 2 } };
    const answer = await explain(front, "--url", "/", "--weight", "b=10");
    expect(weightsOf(answer.before)).toMatchObject(weights.before);
    expect(weightsOf(answer.after)).toMatchObject(weights.after);
    const other = await explain(front, "--url", "/", "--strategy", "p2c");
    expect(weightsOf(other.after)).toMatchObject(weights.before);
  });

  test("a backend may be called as what every object has", async () => {
    const backends = ["a", "constructor"].map((id) => ({ id, url: backend().url }));
    const front = await proxy({ config: { pools: { web: three({ backends }) }, workers: 1 } });
    const { after } = await explain(front, "--url", "/", "--weight", "a=2");
    expect(weightsOf(after)).toEqual({ a: 2, constructor: 1 });
  });

  test("workers that have learnt something else are told apart", async () => {
    const front = await proxy({
      config: { pools: { web: three({ strategy: "./mine.ts" }) }, workers: 2 },
      files: {
        "mine.ts": `export default { name: "mine", apiVersion: 1, create({ previous }) {
          let ended = previous ?? 0;
          return { score: (backend) => ("abc"[ended % 3] === backend.id ? 0 : 1),
            onEnd() { ended++; }, snapshot: () => ended }; } };`,
      },
    });
    for (;;) {
      await fetch(front.url, { keepalive: false });
      const { before } = await explain(front, "--url", "/");
      const [other] = before["otherWorkers"] as { worker: number; chosen: string }[];
      if (other === undefined) continue;
      expect(other.chosen).not.toBe(before.chosen ?? "");
      const { stdout } = await front.run("explain", "--url", "/");
      expect(stdout).toContain(
        `worker 1 has seen other requests: there, ${other.chosen} gets it\n`,
      );
      break;
    }
  });

  test("a strategy in quarantine is not asked", async () => {
    const front = await proxy({
      config: { pools: { web: three({ strategy: "./mine.ts" }) }, workers: 1 },
      files: {
        "mine.ts": `export default { name: "mine", apiVersion: 1, create: () => ({ pick(list, { request }) {
          if (request.path === "/bad") throw new Error("bad"); return list[0]; } }) };`,
      },
    });
    for (let i = 0; i < 10; i++) await fetch(`${front.url}/bad`);
    await front.until("quarantine", ([pool]) => pool?.strategy.quarantined === true);
    const { stdout } = await front.run("explain", "--url", "/");
    expect(stdout).toMatch(/least connections sends it to [abc], because mine is quarantined\n/);
  });

  test("asked for wrongly, it says what is allowed", async () => {
    const front = await proxy({ config: { pools: { web: three() } } });
    const failing = async (...args: string[]): Promise<string> => {
      const { exitCode, stdout, stderr } = await front.run("explain", ...args);
      expect(stdout).toBe("");
      return `${exitCode} ${stderr}`;
    };
    expect(await failing()).toMatch(/^2 [^]*--url: is missing, such as /);
    expect(await failing("--url", "foo", "--weight", "a", "--header", "x")).toMatch(
      /^2 leastwise: 3 problems\n[^]*--url: found "foo"[^]*--header: found "x"[^]*--weight: found "a"/,
    );
    expect(await failing("--url", "/", "--weight", "a=0")).toContain("N above 0");
    expect(await failing("--url", "/", "--trace", TRACE)).toMatch(
      /^2 [^]*--url: is about a request/,
    );
    expect(await failing("--trace", "7")).toContain("32 hex digits");
    expect(await failing("--url", "/", "--as-test")).toContain("--as-test: needs --trace");
    expect(await failing("--url", "/", "--strategy", "rnd")).toMatch(/^2 [^]*random/);
    expect(await failing("--url", "/", "--pool", "wbe")).toMatch(
      /^1 [^]*no pool wbe, there is web; did you mean "web"/,
    );
    expect(await failing("--url", "/", "--drain", "aa")).toMatch(
      /^1 [^]*no backend aa in pool web, there is a, b, c/,
    );
    for (const id of ["aa", "constructor", "__proto__"]) {
      expect(await failing("--url", "/", "--weight", `${id}=3`)).toContain(
        `no backend ${id} in pool web, there is a, b, c${id === "aa" ? '; did you mean "a"?' : "\n"}`,
      );
    }
    expect(await failing("--url", "/", "--client", "nonsense")).toMatch(
      /^2 [^]*--client: found "nonsense", allowed an IP address/,
    );
    expect(await failing("--trace", TRACE)).toMatch(/^1 [^]*no decision of trace 4bf9/);
    const post = async (body: string): Promise<string> => {
      const answer = await fetch(`${front.admin}/api/v1/explain`, { method: "POST", body });
      return `${answer.status} ${await answer.text()}`;
    };
    expect(await post("{")).toStartWith("400 ");
    expect(await post('{"url":"ftp://x"}')).toContain("400 ");
    expect(await post('{"url":"/","weights":{"a":-1}}')).toContain("weights.a: ");
    expect(await post('{"url":"/","weights":{"__proto__":"1"}}')).toContain("weights.__proto__: ");
    expect(await post('{"url":"/","weights":{"__proto__":1}}')).toContain("422 ");
    expect(await post('{"url":"/","weights":[1]}')).toContain("weights: ");
    expect(await post('{"url":"/","clientAddress":"10.0.0.1:80"}')).toContain(
      'clientAddress: found \\"10.0.0.1:80\\", allowed an IP address',
    );
    // Whoever comes through a unix socket has none.
    expect(await post('{"url":"/","clientAddress":""}')).toStartWith("200 ");
    expect(await post(JSON.stringify({ url: "/".repeat(300_000) }))).toStartWith("413 ");
  });
});

async function runTest(front: Proxy, file: string): Promise<{ exitCode: number; stderr: string }> {
  const child = Bun.spawn([await leastwiseBinary(), "plugin", "test", file], {
    cwd: front.folder,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const [stderr, exitCode] = await Promise.all([child.stderr.text(), child.exited]);
  return { exitCode, stderr };
}

async function passes(front: Proxy, file: string): Promise<void> {
  const { exitCode, stderr } = await runTest(front, file);
  expect(exitCode, stderr).toBe(0);
  expect(stderr).toContain(" 1 pass\n 0 fail");
}

describe("who got a request that was traced", () => {
  const traced = async (strategy: Pools[string]["strategy"], source = LEARNING): Promise<Proxy> =>
    tracedProxy(null, {
      config: { pools: { web: three({ strategy }) }, workers: 1 },
      files: { "mine.ts": source },
      env: { OTEL_TRACES_EXPORTER: "otlp", OTEL_EXPORTER_OTLP_ENDPOINT: backend().url },
    });

  test("and why, and as a test that passes where the strategy still decides so", async () => {
    const front = await traced({ use: "./mine.ts", options: { factor: 3 } });
    await fetch(`${front.url}/cart?x=1`, { headers: { ...TRACEPARENT, "x-to": "b" } });
    const shown = await front.run("explain", "--trace", TRACE);
    expect(shown).toMatchObject({ exitCode: 0, stderr: "" });
    expect(shown.stdout).toStartWith(`attempt 1 of trace ${TRACE}, 20`);
    expect(shown.stdout).toContain("b gets it: learning gives it the lowest score, -1\n");
    expect(shown.stdout).toMatch(/\nb +0 +1 +-1 +<- gets it\n/);

    const written = await front.run("explain", "--trace", TRACE, "--as-test");
    const file = "mine.decision-4bf92f35.test.ts";
    expect(written).toEqual({
      exitCode: 0,
      stderr: "",
      stdout: `wrote ${file}\nnext: leastwise plugin test ${file}\n`,
    });
    expect(readFileSync(join(front.folder, file), "utf8")).toContain('{ id: "b", url: ');
    await passes(front, file);
    writeFileSync(join(front.folder, "mine.ts"), LEARNING.replace("return -1", "return 1"));
    const failing = await runTest(front, file);
    expect(failing.exitCode).toBe(1);
    expect(failing.stderr).toContain('Expected: "b"');
    const again = await front.run("explain", "--trace", TRACE, "--as-test");
    expect(again.exitCode).toBe(1);
  });

  test("one that rests on what was learnt is shown with what is known by now", async () => {
    const front = await traced("./mine.ts");
    for (const id of ["a", "a", "a", "b", "b", "b"]) {
      await (await fetch(front.url, { headers: { "x-to": id } })).text();
    }
    await (await fetch(front.url, { headers: TRACEPARENT })).text();
    const written = await front.run("explain", "--trace", TRACE, "--as-test", "--json");
    expect(written.exitCode, written.stderr).toBe(0);
    const { file, test: source } = JSON.parse(written.stdout) as { file: string; test: string };
    expect(source).toContain('previous: [["a", 3], ["b", 3]');
    await passes(front, file);
  });

  test("one that rests on a credential has no test, and nobody sees the credential", async () => {
    const front = await traced("./mine.ts");
    await fetch(front.url, { headers: { ...TRACEPARENT, authorization: "Bearer s3cret" } });
    const told = await front.run("explain", "--trace", TRACE, "--json");
    expect(told.stdout).toContain('"chosen": "c"');
    expect(told.stdout).not.toContain("s3cret");
    const refused = await front.run("explain", "--trace", TRACE, "--as-test");
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toMatch(
      /no test can show this decision for c: learning, asked again, picks .*; it looked at authorization, whose value is not recorded/,
    );
  });

  test("by chance: the test holds that it was possible", async () => {
    const front = await traced(
      "./mine.ts",
      `export default { name: "any", apiVersion: 1, create: ({ random }) => ({
        pick: (list) => list[Math.floor(random() * list.length)] }) };`,
    );
    await fetch(front.url, { headers: TRACEPARENT });
    const { exitCode, stdout } = await front.run(
      "explain",
      "--trace",
      TRACE,
      "--as-test",
      "--json",
    );
    expect(exitCode).toBe(0);
    const { file, test: source } = JSON.parse(stdout) as { file: string; test: string };
    expect(source).toContain("// Chance has a part in it.");
    await passes(front, file);
    expect((await front.run("explain", "--trace", TRACE)).stdout).toContain(
      "any picks it (pick decides, no scores)",
    );
  });

  test("of a strategy that is built in there is no test, which is said", async () => {
    const front = await traced("least-connections");
    await fetch(front.url, { headers: TRACEPARENT });
    expect((await front.run("explain", "--trace", TRACE)).stdout).toContain(
      "3 candidates have the lowest score of least-connections, 0: they take turns by weight",
    );
    const refused = await front.run("explain", "--trace", TRACE, "--as-test");
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toContain("least-connections is built in");
  });
});
