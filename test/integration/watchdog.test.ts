/** Strategies that take their worker with them, with the compiled binary and real processes. */
import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAlive } from "../_support/alive.ts";
import { crowding, watchIdleTime } from "../_support/crowding.ts";
import { useHarness } from "../_support/harness.ts";
import { isQuiet, type Proxy, type WorkerView } from "../_support/proxy.ts";
import { exchangeRaw } from "../_support/raw-client.ts";
import { type SteadyClients, startClients, tellWorker } from "../_support/steady-clients.ts";

const { backend, proxy } = useHarness();

/** A thousand requests a second: far from what a worker can do, so that what they wait for is no queue of their own. */
const CLIENTS = 16;
/** Of two processors, one worker that loops and what the test itself does leave more than that (0.25 to 0.3). */
const LEAST_IDLE = 0.2;

let clients: SteadyClients | null = null;

afterEach(() => clients?.stop());

/** A strategy that does something bad when a request asks for `/bad`, and `more` beside that. */
function strategy(bad: string, more = ""): string {
  return `let keep = [];
    let armed = false;
    export default { name: "bad", apiVersion: 1, create: (env) => ({
      score(backend, { request }) {
        if (request.path === "/bad") { ${bad} }
        return backend.inFlight;
      },
      ${more}
    }) };`;
}

interface Case {
  readonly does: string;
  readonly source: string;
  /** What the log says of the end of the worker. */
  readonly log: readonly string[];
  readonly config?: { readonly workerMemory?: string; readonly watchdog?: string };
  /** After the request that made it bad. Default 2000. */
  readonly wholeWithinMs?: number;
}

/** What a strategy may do without ending its worker. */
interface Harmless {
  readonly does: string;
  readonly source: string;
  readonly faults: boolean;
  readonly log: readonly string[];
}

const ENDS = [
  {
    does: "loops in a pick",
    source: strategy("for (;;);"),
    log: ["computes without a break", '"call":"score"'],
  },
  {
    does: "loops in a hook",
    source: strategy("", `onEnd(attempt) { while (attempt.request.path === "/bad"); }`),
    log: ["computes without a break", '"call":"onEnd"'],
  },
  {
    does: "loops in a timer of its own",
    source: strategy("setTimeout(() => { for (;;); }, 0);"),
    log: ["computes without a break"],
  },
  {
    does: "loops in a promise",
    source: strategy("Promise.resolve().then(() => { for (;;); });"),
    log: ["computes without a break"],
  },
  {
    does: "exits the process",
    source: strategy("process.exit(0);"),
    log: ['"reason":"exit code 0"', '"call":"score"'],
  },
  {
    does: "exits the process in a timer of its own",
    source: strategy("setTimeout(() => process.exit(7), 0);"),
    log: [
      '"reason":"exit code 7"',
      "a worker exited, and nobody had told it to",
      '"suspects":"bad of pool web"',
    ],
  },
  {
    does: "kills the process",
    source: strategy('process.kill(process.pid, "SIGKILL");'),
    log: ['"reason":"signal SIGKILL"', '"call":"score"'],
  },
  {
    does: "allocates without end",
    source: strategy("for (;;) keep.push(new Float64Array(2 ** 17).fill(1));"),
    log: ["workerMemory allows 256 MiB", '"call":"score"'],
    config: { workerMemory: "256MiB", watchdog: "5s" },
  },
  {
    does: "closes descriptors that are not its own",
    source: `import { closeSync } from "node:fs";
      ${strategy("setTimeout(() => { for (let fd = 3; fd < 1000; fd++) try { closeSync(fd); } catch {} }, 0);")}`,
    log: ["counts against a strategy"],
    wholeWithinMs: 10_000,
  },
  {
    does: "listens to the master no more",
    source: strategy('process.removeAllListeners("message");'),
    log: ["answers its master no more"],
    // Four questions, one each second.
    wholeWithinMs: 8000,
  },
  {
    does: "sleeps in a pick",
    source: strategy("Bun.sleepSync(60_000);"),
    log: ["sleeps in a strategy's code", '"call":"score"'],
    config: { watchdog: "500ms" },
    // It takes nothing from anybody else: more time is given to it.
    wholeWithinMs: 5000,
  },
] as const satisfies readonly Case[];

const STAYS = [
  {
    does: "throws in every hook",
    source: `const broken = () => { throw new Error("broken on purpose"); };
      const armed = () => globalThis.armed && broken();
      export default { name: "bad", apiVersion: 1, create: () => ({
        score(backend, { request }) { globalThis.armed ||= request.path === "/bad"; armed(); return 0; },
        onPoolChange: armed, onHealthChange: armed, onStart: armed, onResponse: armed, onEnd: armed,
        snapshot: armed, dispose: armed }) };`,
    faults: true,
    log: ["broken on purpose"],
  },
  {
    does: "rejects a promise later",
    source: strategy('setTimeout(() => Promise.reject(new Error("rejected on purpose")), 5);'),
    faults: false,
    log: ["rejected on purpose"],
  },
  {
    does: "adds to Object.prototype",
    source: strategy("Object.prototype.status = 500;"),
    faults: true,
    log: ["Attempting to define property on object that is not extensible"],
  },
  {
    does: "takes from Object.prototype",
    source: strategy("delete Object.prototype.hasOwnProperty;"),
    faults: true,
    log: ["Unable to delete property"],
  },
  {
    does: "replaces timers",
    source: strategy("globalThis.setTimeout = () => 0;"),
    faults: true,
    log: ["Attempted to assign to readonly property"],
  },
  {
    does: "takes promises away",
    source: strategy("delete globalThis.Promise;"),
    faults: true,
    log: ["Unable to delete property"],
  },
  {
    does: "replaces what is in Object.prototype",
    source: strategy(
      "Object.prototype.hasOwnProperty = () => false; Object.prototype.toString = () => 7; armed = true;",
      'onEnd() { if (armed && `${{}}` !== "7") env.log.info("it is itself again"); }',
    ),
    faults: false,
    log: ["Object.prototype.hasOwnProperty was replaced, and is put back", "it is itself again"],
  },
] as const satisfies readonly Harmless[];

describe("a strategy that", () => {
  test.each(ENDS)(
    "$does costs the requests of its worker, and is replaced",
    async (each: Case) => {
      const { source, log, config = {}, wholeWithinMs = 2000 } = each;
      const front = await start(source, config);
      const before = await whole(front);
      clients = startClients(front.port, CLIENTS, 16);
      // Straight to the backend: what the machine and this process add by themselves.
      const control = startClients(front.backendPort, 4, 16);
      await enough(clients, 500);
      const calmUntilMs = performance.now();
      const idle = watchIdleTime();
      const end = ended(before);
      const askedAtMs = performance.now();
      await ask(front, "/bad");
      const victim = await end;
      while (!front.log().includes('"message":"worker replaced"')) await Bun.sleep(1);
      const wholeMs = performance.now() - askedAtMs;
      const after = await whole(front);
      const idleShare = idle();
      await Promise.all([clients.stop(), control.stop()]);

      const survivor = before.find(({ pid }) => pid !== victim)?.pid;
      const { answers, losses } = clients;
      expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
      // Null: it had connected to the worker that was ending.
      expect(losses.filter(({ worker }) => worker !== victim && worker !== null)).toEqual([]);
      expect(losses.length).toBeLessThanOrEqual(2 * CLIENTS);
      expect(after.map(({ pid }) => pid)).not.toContain(victim);
      expect(after.reduce((sum, { restarts }) => sum + restarts, 0)).toBe(1);
      for (const text of log) expect(front.log()).toContain(text);
      expect(wholeMs).toBeLessThan(wholeWithinMs * crowding());
      const others = answers.filter(({ worker }) => worker === survivor);
      const calm = p99(others.filter(({ atMs }) => atMs < calmUntilMs));
      const meanwhile = p99(others.filter(({ atMs }) => atMs >= calmUntilMs));
      const direct = p99(control.answers.filter(({ atMs }) => atMs >= calmUntilMs));
      // The floors are what the machine does at that time, and what it does anyway. Where others leave it nothing to
      // spare, everybody waits for them: a request through a worker three times as often as one straight to the backend.
      if (idleShare > LEAST_IDLE)
        expect(meanwhile).toBeLessThan(Math.max(2 * calm, 6 * direct, 30));
      await front.until("nothing in flight", isQuiet);
    },
    60_000,
  );

  test.each(STAYS)(
    "$does costs no request and no worker",
    async ({ source, faults, log }: Harmless) => {
      const front = await start(source);
      const before = await whole(front);
      clients = startClients(front.port, CLIENTS, 16);
      await enough(clients, 200);
      for (let i = 0; i < 50; i++) expect(await ask(front, "/bad")).toStartWith("HTTP/1.1 200 ");
      await enough(clients, 400);
      await clients.stop();
      expect(clients.losses).toEqual([]);
      expect(clients.answers.filter(({ status }) => status !== 200)).toEqual([]);
      expect((await whole(front)).map(({ pid }) => pid)).toEqual(before.map(({ pid }) => pid));
      for (const text of log) expect(front.log()).toContain(text);
      const [pool] = await front.until("nothing in flight", isQuiet);
      if (faults) expect(pool?.strategy.faults).toBeGreaterThan(0);
    },
  );
});

test("a strategy that keeps memory for every request costs none: its workers are recycled in time", async () => {
  const front = await start(strategy("keep.push(new Uint8Array(2 ** 20).fill(1));"), {
    workerMemory: "256MiB",
  });
  await whole(front);
  clients = startClients(front.port, CLIENTS, 16);
  await enough(clients, 200);
  while (!front.log().includes("a worker is recycled before it is ended: it has")) {
    expect(await ask(front, "/bad")).toStartWith("HTTP/1.1 200 ");
    await Bun.sleep(10);
  }
  while (!front.log().includes('"message":"worker recycled"')) await Bun.sleep(10);
  await enough(clients, 200);
  await clients.stop();
  expect(clients.losses).toEqual([]);
  expect(clients.answers.filter(({ status }) => status !== 200)).toEqual([]);
  expect((await whole(front)).reduce((sum, { restarts }) => sum + restarts, 0)).toBe(0);
  expect(front.log()).not.toContain("the watchdog ends a worker");
});

describe("a strategy that ended two workers", () => {
  test("is quarantined in all of them, also in those that come later: not even its file is loaded", async () => {
    const folder = mkdtempSync(join(tmpdir(), "leastwise-test-"));
    try {
      const loads = join(folder, "loads");
      const counting = `import { appendFileSync } from "node:fs"; appendFileSync(${JSON.stringify(loads)}, process.pid + "\\n");`;
      const front = await start(`${counting}${strategy("process.exit(7);")}`);
      await quarantine(front);
      const workers = await whole(front);
      expect(front.log()).toContain("strategy quarantined: two workers ended in its code");
      for (let i = 0; i < 20; i++) expect(await ask(front, "/bad")).toStartWith("HTTP/1.1 200 ");
      expect((await whole(front)).map(({ pid }) => pid)).toEqual(workers.map(({ pid }) => pid));

      for (const { pid } of workers) process.kill(pid, "SIGKILL");
      while ((await whole(front)).some(({ pid }) => workers.some((old) => old.pid === pid)));
      for (let i = 0; i < 20; i++) expect(await ask(front, "/bad")).toStartWith("HTTP/1.1 200 ");
      const [pool] = await front.pools();
      expect(pool?.strategy).toMatchObject({ name: "bad", quarantined: true });
      const loaded = readFileSync(loads, "utf8").trim().split("\n").map(Number);
      const now = (await whole(front)).map(({ pid }) => pid);
      expect(loaded.filter((pid) => now.includes(pid))).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test.each([
    ["a timer of its own that looped", "setTimeout(() => { for (;;); }, 0);"],
    ["a timer of its own that exited", "setTimeout(() => process.exit(7), 0);"],
    ["a promise of its own that exited", "Promise.resolve().then(() => process.exit(0));"],
  ])("is quarantined, too, when it was %s", async (_what, bad) => {
    const front = await start(strategy(bad));
    await quarantine(front);
    const workers = await whole(front);
    for (let i = 0; i < 20; i++) expect(await ask(front, "/bad")).toStartWith("HTTP/1.1 200 ");
    expect((await whole(front)).map(({ pid }) => pid)).toEqual(workers.map(({ pid }) => pid));
  });

  test("is not taken up again by a rollback to other options of the same code", async () => {
    const { url } = backend(tellWorker);
    const given = (to: number) => ({
      pools: { web: { backends: [url], strategy: { use: "./bad.ts", options: { to } } } },
      workers: 2,
    });
    const source = strategy("process.exit(7);").replace(
      "create:",
      "parseOptions: (raw) => raw, create:",
    );
    const front = await proxy({ config: given(1), files: { "bad.ts": source } });
    front.configure(given(2));
    expect(await front.reload()).toMatchObject({ ok: true, problems: [] });
    await quarantine(front);
    const { exitCode, stdout, stderr } = await front.run("plugin", "rollback", "web");
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
    expect(stderr).toContain("has ended two workers, and is quarantined");
    expect((await front.pools())[0]?.strategy.quarantined).toBe(true);
  });

  test("is asked again when another version of it is loaded", async () => {
    const front = await start(strategy("process.exit(7);"));
    await quarantine(front);
    expect(await front.reload()).toMatchObject({ ok: true });
    expect((await front.pools())[0]?.strategy.quarantined).toBe(true);
    writeFileSync(join(front.folder, "bad.ts"), strategy("return 1;"));
    expect(await front.reload()).toMatchObject({ ok: true });
    const [pool] = await front.pools();
    expect(pool?.strategy).toMatchObject({ quarantined: false, faults: 0 });
    const workers = await whole(front);
    for (let i = 0; i < 20; i++) expect(await ask(front, "/bad")).toStartWith("HTTP/1.1 200 ");
    expect((await whole(front)).map(({ pid }) => pid)).toEqual(workers.map(({ pid }) => pid));
  });
});

test("a new version that loops in a timer is quarantined, and the one before can be loaded again", async () => {
  const good = strategy("return 1;");
  const front = await start(good, { watchdog: "500ms" });
  const before = (await front.pools())[0]?.strategy.version ?? "none";
  // Not before it is in force, or the reload is refused.
  const looping = join(front.folder, "looping");
  const isLooping = `existsSync(${JSON.stringify(looping)})`;
  const timer = `setInterval(() => { while (${isLooping}); }, 1000)`;
  const bad = good.replace("create: (env) => ({", `create: (env) => (${timer}, {`);
  writeFileSync(join(front.folder, "bad.ts"), `import { existsSync } from "node:fs";\n${bad}`);
  expect(await front.reload()).toMatchObject({ ok: true });
  writeFileSync(looping, "");
  // Two rounds: those that held the version before, too, do not count.
  while ((await front.pools())[0]?.strategy.quarantined !== true) await Bun.sleep(10);
  // Those that came up before that have it, too: the next reload is not to find one of them at it.
  rmSync(looping);
  await whole(front);
  writeFileSync(join(front.folder, "bad.ts"), good);
  expect(await front.reload()).toMatchObject({ ok: true, problems: [] });
  const [pool] = await front.pools();
  expect(pool?.strategy).toMatchObject({ quarantined: false, version: before });
  const sealed = front
    .log()
    .split("\n")
    .filter((line) => line.includes("strategy quarantined"));
  expect(sealed.map((line) => line.includes(before))).toEqual([false]);
  await whole(front);
  expect(await ask(front, "/bad")).toStartWith("HTTP/1.1 200 ");
}, 120_000);

test("a reload refuses a strategy that computes for longer at its top level than the watchdog allows", async () => {
  const front = await start(strategy(""), { watchdog: "500ms" });
  const before = await whole(front);
  const burn = `const computed = () => { const { user, system } = process.threadCpuUsage(); return (user + system) / 1000; };
    for (const until = computed() + 800; computed() < until;) for (let i = 0; i < 1e6; i++);`;
  writeFileSync(join(front.folder, "bad.ts"), `${burn}\n${strategy("")}`);
  const { ok, problems } = await front.reload();
  expect(ok).toBe(false);
  expect(problems).toMatchObject([
    {
      path: join(front.folder, "bad.ts"),
      message: expect.stringMatching(/^its top level computes for \d+ ms, .* allows 500 ms$/),
    },
  ]);
  expect((await whole(front)).map(({ pid }) => pid)).toEqual(before.map(({ pid }) => pid));
});

describe("a strategy that only workers cannot load", () => {
  const IN_WORKERS = 'if (process.argv.includes("__worker"))';

  test.each([
    ["loops", `${IN_WORKERS} for (;;);\n${strategy("")}`],
    ["exits", `${IN_WORKERS} process.exit(3);\n${strategy("")}`],
  ])(
    "because it %s is refused by a reload, and the old one goes on",
    async (_does, source) => {
      const front = await start(strategy(""));
      clients = startClients(front.port, CLIENTS, 16);
      await enough(clients, 200);
      writeFileSync(join(front.folder, "bad.ts"), source);
      const { ok, problems } = await front.reload();
      expect(ok).toBe(false);
      expect(problems[0]?.message).toMatch(
        /^a worker process ended before it could serve: .*in import of strategy bad of pool web$/,
      );
      expect(front.log()).toContain('"call":"import"');
      const workers = await whole(front);
      await enough(clients, 200);
      await clients.stop();
      const alive = workers.map(({ pid }) => pid);
      expect(
        clients.losses.filter(({ worker }) => worker !== null && alive.includes(worker)),
      ).toEqual([]);
      const [pool] = await front.pools();
      expect(pool?.strategy.quarantined).toBe(false);
      // One worker tries it alone.
      expect(workers.reduce((sum, { restarts }) => sum + restarts, 0)).toBe(1);
      await front.reload();
      await whole(front);
      const { problems: third } = await front.reload();
      expect(third[0]?.message).toContain("has ended two workers, and is quarantined");
      expect((await whole(front)).reduce((sum, { restarts }) => sum + restarts, 0)).toBe(2);
    },
    60_000,
  );
});

test("nobody is sent to workers that answer nothing, until they do", async () => {
  const front = await start(strategy(""));
  const before = await whole(front);
  const ready = async () => (await fetch(`${front.admin}/-/ready`)).status;
  expect(await ready()).toBe(200);
  for (const { pid } of before) process.kill(pid, "SIGSTOP");
  while ((await ready()) !== 503) await Bun.sleep(20);
  for (const { pid } of before) process.kill(pid, "SIGCONT");
  while ((await ready()) !== 200) await Bun.sleep(20);
  expect((await whole(front)).map(({ pid }) => pid)).toEqual(before.map(({ pid }) => pid));
  expect(front.log()).not.toContain("watchdog");
});

describe("workers that are stopped by others", () => {
  test("are not ended by the watchdog, whoever was stopped", async () => {
    const front = await start(strategy(""), { watchdog: "500ms" });
    const workers = await whole(front);
    const pids = workers.map(({ pid }) => pid);
    for (const stopped of [pids, [front.pid], [front.pid, ...pids]]) {
      for (const pid of stopped) process.kill(pid, "SIGSTOP");
      await Bun.sleep(1200);
      for (const pid of stopped) process.kill(pid, "SIGCONT");
      expect(await ask(front, "/")).toStartWith("HTTP/1.1 200 ");
      // As long as the watchdog may take to find out.
      await Bun.sleep(700);
      expect((await whole(front)).map(({ pid }) => pid)).toEqual(pids);
    }
    expect(front.log()).not.toContain("watchdog");
  });
});

test("a pick of more than 10 ms is warned of once and counted every time", async () => {
  const front = await start(strategy("const until = env.now() + 20; while (env.now() < until);"));
  for (let i = 0; i < 10; i++) expect(await ask(front, "/bad")).toStartWith("HTTP/1.1 200 ");
  const metrics = await (await fetch(`${front.admin}/metrics`)).text();
  expect(metrics).toMatch(/^leastwise_pick_slow_total\{.*\} 10$/m);
  const warnings = front.log().split("a pick took longer than 10 ms").length - 1;
  expect(warnings).toBeGreaterThan(0);
  expect(warnings).toBeLessThanOrEqual(2);
});

async function start(
  source: string,
  config: Case["config"] = {},
): Promise<Proxy & { readonly backendPort: number }> {
  const { url } = backend(tellWorker);
  const front = await proxy({
    config: { ...config, pools: { web: { backends: [url], strategy: "./bad.ts" } }, workers: 2 },
    files: { "bad.ts": source },
  });
  return { ...front, backendPort: Number(new URL(url).port) };
}

/** Lets it end two workers. */
async function quarantine(front: Proxy): Promise<void> {
  for (let time = 1; time <= 2; time++) {
    const before = await whole(front);
    await ask(front, "/bad");
    await ended(before);
  }
  await whole(front);
  await front.until("the quarantine", ([pool]) => pool?.strategy.quarantined === true);
}

async function enough({ answers }: SteadyClients, more: number): Promise<void> {
  const wanted = answers.length + more;
  while (answers.length < wanted) await Bun.sleep(5);
}

/** Sends it and waits for its end, whatever that is. */
async function ask(front: Proxy, path: string): Promise<string> {
  return exchangeRaw(front.port, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
}

/** The first of these workers whose process ends. */
async function ended(workers: readonly WorkerView[]): Promise<number> {
  for (;;) {
    const ended = workers.find(({ pid }) => !isAlive(pid));
    if (ended !== undefined) return ended.pid;
    await Bun.sleep(5);
  }
}

/** Both workers serve. */
async function whole(front: Proxy): Promise<WorkerView[]> {
  for (;;) {
    const workers = await front.workers();
    if (
      workers.length === 2 &&
      workers.every(({ pid, pendingRequests }) => isAlive(pid) && pendingRequests !== null)
    )
      return workers;
    await Bun.sleep(5);
  }
}

function p99(answers: readonly { readonly tookMs: number }[]): number {
  const sorted = answers.map(({ tookMs }) => tookMs).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN;
}
