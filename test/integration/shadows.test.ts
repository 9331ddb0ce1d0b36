/** Shadows in the compiled binary: they are shown real requests, and nothing they do reaches one. */
import { describe, expect, test } from "bun:test";
import type { ShadowStatus } from "../../src/admin/facts.ts";
import type { UserConfig } from "../../src/index.ts";
import { isAlive } from "../_support/alive.ts";
import type { FakeBackend } from "../_support/fake-backend.ts";
import { useHarness } from "../_support/harness.ts";
import type { Proxy } from "../_support/proxy.ts";

const harness = useHarness();

/** Fewer than a worker shows at once, whatever its pace. */
const REQUESTS = 60;

function strategy(name: string, methods: string): string {
  return `export default { name: "${name}", apiVersion: 1, create: () => ({ ${methods} }) };`;
}

const BY_PATH = strategy("by-path", "pick: (all, { request }) => all[request.path.length % 2]");
const FIRST = strategy("first", "pick: (all) => all[0]");
const SECOND = strategy("second", "pick: (all) => all[1] ?? all[0]");

interface Stage {
  readonly front: Proxy;
  readonly backends: readonly [FakeBackend, FakeBackend];
  readonly config: (shadow: readonly string[]) => UserConfig;
}

async function stage(
  files: Record<string, string>,
  shadow: readonly string[],
  change: Partial<UserConfig> = {},
  acting = "./first.ts",
  flags: readonly string[] = [],
): Promise<Stage> {
  const backends = [harness.backend(), harness.backend()] as const;
  const config = (shadows: readonly string[]): UserConfig => ({
    pools: {
      web: {
        backends: backends.map(({ url }, index) => ({ url, id: index === 0 ? "a" : "b" })),
        strategy: acting,
        shadow: shadows,
        health: false,
      },
    },
    workers: 1,
    ...change,
  });
  const front = await harness.proxy({
    config: config(shadow),
    files: { "first.ts": FIRST, ...files },
    flags,
  });
  return { front, backends, config };
}

async function until(
  front: Proxy,
  what: string,
  holds: (shadows: readonly ShadowStatus[]) => boolean,
): Promise<readonly ShadowStatus[]> {
  const [pool] = await front.until(what, ([web]) => web !== undefined && holds(web.shadow));
  return pool?.shadow ?? [];
}

function running(front: Proxy): Promise<readonly ShadowStatus[]> {
  return until(front, "shadows that run", (all) => all.every(({ state }) => state === "running"));
}

function picksOf(shadow: ShadowStatus | undefined): number | undefined {
  return shadow?.figures?.picks;
}

async function send(front: Proxy, count = REQUESTS): Promise<void> {
  for (let i = 0; i < count; i++) {
    const response = await fetch(`${front.url}/${"x".repeat(i % 7)}`);
    expect(response.status).toBe(200);
    await response.text();
  }
}

describe("what a shadow would have done", () => {
  test("is what was done when it is the acting strategy, over two workers", async () => {
    const files = { "by-path.ts": BY_PATH };
    const { front } = await stage(files, ["./by-path.ts"], { workers: 2 }, "./by-path.ts");
    await running(front);
    // Each client has connections of its own, which the workers share.
    await Promise.all(
      Array.from({ length: 12 }, async () => {
        for (let i = 0; i < 5; i++) {
          const path = `/${"x".repeat(i)}`;
          await (await fetch(front.url + path, { headers: { connection: "close" } })).text();
        }
      }),
    );
    const [shadow] = await until(front, "all picks", ([one]) => picksOf(one) === REQUESTS);
    expect(shadow?.figures).toMatchObject({
      agreement: 1,
      agreed: REQUESTS,
      faults: 0,
      dropped: 0,
    });
    for (const { shadow: projected, acting } of shadow?.figures?.backends ?? []) {
      expect(projected.requests).toBe(acting.requests);
      expect(projected.share).toBe(acting.share);
    }
    await until(front, "nothing in flight", ([one]) =>
      (one?.figures?.backends ?? []).every((each) => each.shadow.inFlight.now === 0),
    );
  });

  test("is what was done while a backend is in its slow start, too", async () => {
    const backends = ["a", "b"].map((id) => ({ id, url: harness.backend().url }));
    const slowStart = { window: "1h", minWeight: 0.1 };
    const web = { backends, slowStart, strategy: "./heavy.ts", shadow: ["./heavy.ts"] };
    const heavy = strategy("heavy", "score: ({ weight }) => -weight");
    const front = await harness.proxy({
      config: { pools: { web: { ...web, health: false } }, workers: 1 },
      files: { "heavy.ts": heavy },
    });
    await front.run("drain", "a");
    await front.run("undrain", "a");
    await running(front);
    await send(front);
    const [shown] = await until(front, "all picks", ([one]) => picksOf(one) === REQUESTS);
    expect(shown?.figures).toMatchObject({ agreement: 1 });
  });

  test("is what was done beside clients that stay where their sessions are, too", async () => {
    const affinity = { secret: "a secret of more than thirty-two characters" };
    const backends = [harness.backend(), harness.backend()] as const;
    const named = backends.map(({ url }, index) => ({ url, id: index === 0 ? "a" : "b" }));
    const web = { backends: named, affinity, shadow: ["least-connections"] };
    const config: UserConfig = { pools: { web: { ...web, health: false } }, workers: 1 };
    const front = await harness.proxy({ config });
    await running(front);
    await front.run("drain", "a");
    const first = await fetch(front.url);
    await first.text();
    const cookie = (first.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    await front.run("undrain", "a");
    const gate = Promise.withResolvers<void>();
    backends[1].handler = async () => {
      await gate.promise;
      return "ok";
    };
    const sticky = Promise.all(
      Array.from(
        { length: 10 },
        async () => (await fetch(front.url, { headers: { cookie } })).status,
      ),
    );
    await backends[1].seen(11);
    await send(front, 40);
    expect(backends.map(({ requests }) => requests.length)).toEqual([40, 11]);
    const [shown] = await until(front, "all picks", ([one]) => picksOf(one) === 41);
    expect(shown?.figures).toMatchObject({ agreement: 1, dropped: 0 });
    const atB = shown?.figures?.backends[1];
    expect(atB?.acting).toMatchObject({ requests: 11, inFlight: { now: 10 } });
    expect(atB?.shadow).toMatchObject({ requests: 11, inFlight: { now: 10 } });
    gate.resolve();
    expect(new Set(await sticky)).toEqual(new Set([200]));
    await until(front, "nothing in flight", ([one]) =>
      (one?.figures?.backends ?? []).every(
        ({ shadow, acting }) => shadow.inFlight.now + acting.inFlight.now === 0,
      ),
    );
  });

  test("is told in status and in metrics, and changes nothing", async () => {
    const { front, backends } = await stage({ "second.ts": SECOND }, ["./second.ts", "p2c"]);
    await running(front);
    await send(front);
    expect(backends.map(({ requests }) => requests.length)).toEqual([REQUESTS, 0]);
    const [second, p2c] = await until(front, "all picks", (all) =>
      all.every((one) => picksOf(one) === REQUESTS),
    );
    expect(second).toMatchObject({
      name: "second",
      state: "running",
      reason: null,
      restarts: 0,
      figures: {
        agreement: 0,
        refused: 0,
        fallbacks: 0,
        backends: [
          { id: "a", shadow: { share: 0 }, acting: { share: 1 } },
          { id: "b", shadow: { share: 1, requests: REQUESTS }, acting: { share: 0 } },
        ],
      },
    });
    expect(second?.source).toEndWith("second.ts");
    expect(second?.figures?.pickMs?.p99).toBeGreaterThan(0);
    expect(second?.figures?.backends[1]?.shadow.inFlight.max).toBe(1);
    expect(p2c).toMatchObject({ name: "p2c", source: "built-in", state: "running" });

    const { stdout } = await front.run("status");
    expect(stdout).toContain(`, running, agrees in 0.0 % of ${REQUESTS} picks, p50 `);
    expect(stdout).toMatch(/^a +100\.0 % +0\.0 % /m);
    const json = JSON.parse((await front.run("status", "--json")).stdout);
    expect(json.pools[0].shadow[0]).toMatchObject({ name: "second", state: "running" });

    const metrics = await (await fetch(`${front.admin}/metrics`)).text();
    const line = (name: string, ...labels: string[]) =>
      metrics
        .split("\n")
        .find((each) => each.startsWith(`${name}{`) && labels.every((one) => each.includes(one)))
        ?.split(" ")
        .at(-1);
    const own = ['leastwise_strategy="second"', 'leastwise_shadow_index="0"'];
    expect(line("leastwise_shadow_running", ...own)).toBe("1");
    expect(line("leastwise_shadow_picks_total", ...own, 'result="differed"')).toBe(`${REQUESTS}`);
    expect(line("leastwise_shadow_picks_total", ...own, 'result="agreed"')).toBe("0");
    expect(line("leastwise_shadow_pick_duration_seconds_count", ...own)).toBe(`${REQUESTS}`);
    const b = [...own, 'leastwise_backend_id="b"'];
    expect(line("leastwise_shadow_requests_total", ...b)).toBe(`${REQUESTS}`);
    expect(line("leastwise_shadow_in_flight", ...b)).toBe("0");
  });

  test("follows from the request, its course, and its own number in flight", async () => {
    const teller = strategy(
      "teller",
      `pick(all, { request }) {
         const wanted = request.headers.get("x-wanted");
         const { method, path, query, host, clientAddress } = request;
         const facts = { method, path, query, host: host !== "", clientAddress };
         console.error("asked " + JSON.stringify({ ...facts, inFlight: all.map((b) => b.inFlight) }));
         return all.find(({ id }) => id === wanted) ?? all[0];
       },
       onResponse({ backend }, { status, headers }) {
         console.error("response " + backend.id + " " + status + " " + headers.get("x-load"));
       },
       onEnd({ backend }, { outcome, status }) {
         console.error("end " + backend.id + " " + outcome + " " + status + " " + backend.inFlight);
       }`,
    );
    const { front, backends } = await stage({ "teller.ts": teller }, ["./teller.ts"]);
    await running(front);
    const gate = Promise.withResolvers<void>();
    backends[0].handler = async ({ target }) => {
      if (target.startsWith("/slow")) await gate.promise;
      return { headers: [["X-Load", "7"]], body: "ok" };
    };
    const slow = fetch(`${front.url}/slow?a=1`, { headers: { "X-Wanted": "b" } });
    await backends[0].seen(1);
    await (await fetch(`${front.url}/next`, { method: "POST" })).text();
    gate.resolve();
    await (await slow).text();
    // Before that it is tried with made-up backends.
    const said = (): string => front.log().split('"message":"ready"')[1] ?? "";
    await until(front, "two ends", () => said().match(/^end /gm)?.length === 2);
    const lines = said().match(/^(asked|response|end) .*$/gm);
    const asked = { host: true, clientAddress: "127.0.0.1" };
    const told = (lines ?? []).map((line) =>
      line.startsWith("asked") ? JSON.parse(line.slice("asked ".length)) : line,
    );
    expect(told).toEqual([
      expect.objectContaining({ ...asked, path: "/slow", query: "a=1", inFlight: [0, 0] }),
      expect.objectContaining({ ...asked, method: "POST", path: "/next", inFlight: [0, 1] }),
      "response a 200 7",
      "end a ok 200 0",
      "response b 200 7",
      "end b ok 200 0",
    ]);
  });
});

test("an acting strategy that writes to what it is told fails no request and misleads no shadow", async () => {
  const writing = strategy(
    "writing",
    `pick: (all) => all[0],
     onResponse({ request }, head) {
       const throws = { get() { throw new Error("not for you"); } };
       if (request.path === "/head") Object.defineProperty(head, "status", throws);
     },
     onEnd({ request }, end) {
       const throws = { get() { throw new Error("not for you"); } };
       if (request.path === "/end") Object.defineProperty(end, "outcome", throws);
       if (request.path === "/lie") end.outcome = "reset";
     }`,
  );
  const told = strategy(
    "told",
    'pick: (all) => all[0], onEnd(_, { outcome, status }) { console.error("told " + outcome + " " + status); }',
  );
  const files = { "writing.ts": writing, "told.ts": told };
  const { front } = await stage(files, ["./told.ts"], {}, "./writing.ts");
  await running(front);
  for (const path of ["/head", "/end", "/lie", "/"]) {
    const response = await fetch(front.url + path);
    expect({ path, status: response.status }).toEqual({ path, status: 200 });
    await response.text();
  }
  const said = (): string => front.log().split('"message":"ready"')[1] ?? "";
  await until(front, "four ends", () => said().match(/^told /gm)?.length === 4);
  expect([...(said().match(/^told .*$/gm) ?? [])]).toEqual(Array(4).fill("told ok 200"));
  const [pool] = await front.pools();
  expect(pool?.strategy).toMatchObject({ faults: 3 });
  const [shadow] = await running(front);
  expect(shadow?.figures?.backends[0]?.shadow.inFlight.now).toBe(0);
});

describe("a shadow costs only its own report when it", () => {
  const harmful: readonly (readonly [name: string, methods: string, reason: RegExp])[] = [
    [
      "loops",
      'score: ({ inFlight }, { request }) => { while (request.path === "/harm"); return inFlight; }',
      /^looped in score: it computes without a break for \d+ ms, and watchdog allows 500 ms$/,
    ],
    [
      "leaks",
      `score: () => 0, held: [],
       onEnd({ request }) {
         if (request.path === "/harm") setInterval(() => this.held.push(Buffer.alloc(1 << 22, 1)), 1);
       }`,
      /^leaked .*: it has \d+ MiB of memory, and workerMemory allows 400 MiB$/,
    ],
    [
      "exits",
      'score: () => 0, onStart({ request }) { if (request.path === "/harm") process.exit(7); }',
      /^exited in onStart, with exit code 7$/,
    ],
    [
      "exits from a timer",
      'score: () => 0, onStart({ request }) { if (request.path === "/harm") setTimeout(() => process.exit(0), 1); }',
      /^exited outside of every call, with exit code 0$/,
    ],
    [
      "throws",
      'score(b, { request }) { if (request.path === "/harm") throw new Error("no idea"); return 0; }',
      /^10 faults in a row, the last: score threw: no idea$/,
    ],
  ];

  test.each(harmful)("%s", async (_, methods, reason) => {
    const files = { "bad.ts": strategy("bad", methods), "second.ts": SECOND };
    const watchdog = reason.source.includes("looped") ? "500ms" : "10s";
    const limits = { watchdog, workerMemory: "400MiB" } as const;
    const { front } = await stage(files, ["./bad.ts", "./second.ts"], limits);
    const [bad] = await running(front);
    await send(front, 10);
    for (let i = 0; i < 10; i++) {
      const response = await fetch(`${front.url}/harm`);
      expect(response.status).toBe(200);
      await response.text();
    }
    const [stopped] = await until(front, "a stopped shadow", ([one]) => one?.state === "stopped");
    expect(stopped?.reason).toMatch(reason);
    expect(stopped).toMatchObject({ restarts: 0, pid: null });
    await send(front, 10);
    const [, other] = await until(front, "the other's picks", ([, one]) => picksOf(one) === 30);
    expect(other).toMatchObject({ state: "running", restarts: 0, figures: { agreement: 0 } });
    await until(front, "the end of its process", () => !isAlive(bad?.pid ?? 0));
    const workers = await front.workers();
    expect(workers.map(({ restarts }) => restarts)).toEqual([0]);
    const [pool] = await front.pools();
    expect(pool?.strategy).toMatchObject({ quarantined: false, faults: 0 });
    const { stdout } = await front.run("status");
    expect(stdout).toContain(`STOPPED: ${stopped?.reason}`);
  });

  test("is killed from outside: another process takes its place, and its figures begin anew", async () => {
    const { front } = await stage({ "second.ts": SECOND }, ["./second.ts"]);
    const [first] = await running(front);
    await send(front, 10);
    await until(front, "ten picks", ([one]) => picksOf(one) === 10);
    process.kill(first?.pid ?? 0, "SIGKILL");
    const [next] = await until(front, "another process", ([one]) => {
      return one?.state === "running" && one.pid !== first?.pid;
    });
    expect(next).toMatchObject({ restarts: 1, reason: null, figures: { picks: 0 } });
    await send(front, 5);
    const [counted] = await until(front, "five picks", ([one]) => picksOf(one) === 5);
    expect(counted?.figures?.agreement).toBe(0);
    // What was counted before is not taken back from a counter.
    const metrics = await (await fetch(`${front.admin}/metrics`)).text();
    expect(metrics).toMatch(/^leastwise_shadow_picks_total\{[^}]*"differed"[^}]*\} 15$/m);
  });
});

describe("requests that are under way", () => {
  test("in a worker that is killed are not in flight for ever", async () => {
    const { front, backends } = await stage({ "second.ts": SECOND }, ["./second.ts"]);
    await running(front);
    backends[0].handler = () => null;
    const lost = fetch(front.url).catch((error: Error) => error);
    const inFlight = ([one]: readonly ShadowStatus[]) =>
      one?.figures?.backends[1]?.shadow.inFlight.now;
    await until(front, "one in flight", (all) => inFlight(all) === 1);
    const [worker] = await front.workers();
    process.kill(worker?.pid ?? 0, "SIGKILL");
    expect(await lost).toBeInstanceOf(Error);
    await until(front, "none in flight", (all) => inFlight(all) === 0);
    backends[0].handler = () => "ok";
    // The next worker serves when it answers; only then is it told of.
    const deadline = Date.now() + 20_000;
    for (let answered = false; !answered && Date.now() < deadline;) {
      answered = await fetch(front.url).then(
        ({ ok }) => ok,
        () => false,
      );
    }
    await until(front, "a pick of the next worker", ([one]) => picksOf(one) === 2);
  });
});

describe("a reload", () => {
  test("with another version begins its figures anew, with the same one goes on", async () => {
    const { front, config } = await stage({ "second.ts": SECOND }, ["./second.ts"]);
    const [first] = await running(front);
    await send(front, 10);
    await until(front, "ten picks", ([one]) => picksOf(one) === 10);

    front.configure(config(["p2c", "./second.ts"]));
    expect(await front.reload()).toMatchObject({ ok: true });
    const [, same] = await running(front);
    expect(same).toMatchObject({ name: "second", pid: first?.pid, figures: { picks: 10 } });

    await Bun.write(
      `${front.folder}/second.ts`,
      SECOND.replace("all[1] ??", "all[1] ?? all[1] ??"),
    );
    expect(await front.reload()).toMatchObject({ ok: true });
    const [, changed] = await running(front);
    expect(changed).toMatchObject({ name: "second", restarts: 0, figures: { picks: 0 } });
    expect(changed?.version).not.toBe(first?.version);
    await until(front, "the end of the first", () => !isAlive(first?.pid ?? 0));

    front.configure(config([]));
    expect(await front.reload()).toMatchObject({ ok: true });
    const [pool] = await front.pools();
    expect(pool?.shadow).toEqual([]);
    await until(front, "the end of the second", () => !isAlive(changed?.pid ?? 0));
    await send(front, 5);
  });

  test("with a shadow that is broken is refused, and the one before goes on", async () => {
    const { front } = await stage({ "second.ts": SECOND }, ["./second.ts"]);
    const [first] = await running(front);
    await Bun.write(`${front.folder}/second.ts`, strategy("second", "pick: () => undefined"));
    const { ok, problems } = await front.reload();
    expect(ok).toBe(false);
    expect(problems.map(({ message }) => message)).toEqual([
      expect.stringContaining("pick returned undefined"),
    ]);
    await send(front, 10);
    const [same] = await until(front, "ten picks", ([one]) => picksOf(one) === 10);
    expect(same).toMatchObject({ pid: first?.pid, version: first?.version });
  });

  test("comes by itself when the file of a shadow changes", async () => {
    const { front } = await stage({ "second.ts": SECOND }, ["./second.ts"], {}, "./first.ts", [
      "--watch",
    ]);
    const [first] = await running(front);
    await Bun.write(`${front.folder}/second.ts`, FIRST.replace("first", "second"));
    const [changed] = await until(front, "another version", ([one]) => {
      return one?.state === "running" && one.version !== first?.version;
    });
    expect(changed?.name).toBe("second");
  });

  test("brings shadows to a pool that had none", async () => {
    const { front, config } = await stage({ "second.ts": SECOND }, []);
    await send(front, 10);
    front.configure(config(["./second.ts"]));
    expect(await front.reload()).toMatchObject({ ok: true });
    await running(front);
    await send(front, 10);
    await until(front, "ten picks", ([one]) => picksOf(one) === 10);
  });
});

describe("its process", () => {
  test("ends with a master that is killed", async () => {
    const { front } = await stage({ "second.ts": SECOND }, ["./second.ts"]);
    const [shadow] = await running(front);
    front.signal("SIGKILL");
    await front.exited;
    const deadline = Date.now() + 20_000;
    while (isAlive(shadow?.pid ?? 0) && Date.now() < deadline) await Bun.sleep(10);
    expect(isAlive(shadow?.pid ?? 0)).toBe(false);
  });

  test("is not waited for by a stop, even when it loops", async () => {
    const loop = strategy(
      "loop",
      'score: (b, { request }) => { while (request.path === "/harm"); return 0; }',
    );
    const { front } = await stage({ "loop.ts": loop }, ["./loop.ts"], { watchdog: "1h" });
    const [shadow] = await running(front);
    await (await fetch(`${front.url}/harm`)).text();
    expect(await front.stop()).toBe(0);
    const deadline = Date.now() + 20_000;
    while (isAlive(shadow?.pid ?? 0) && Date.now() < deadline) await Bun.sleep(10);
    expect(isAlive(shadow?.pid ?? 0)).toBe(false);
  });
});
