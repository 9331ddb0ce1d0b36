/** What goes wrong in the middle of a reload of the compiled binary: the plan before goes on, and few workers pay. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { useHarness } from "../_support/harness.ts";
import type { Proxy, WorkerView } from "../_support/proxy.ts";
import { connectRaw } from "../_support/raw-client.ts";

const { backend, proxy } = useHarness();

/** Not in the child that tries a strategy before it comes here. */
const IN_WORKERS = 'process.argv.includes("__worker")';

/** Says with every pick which version it is. */
function strategy(version: string, { top = "", hooks = "" } = {}): string {
  return `import { existsSync, writeFileSync } from "node:fs";
    const inWorker = ${IN_WORKERS};
    ${top}
    export default { name: "mine", apiVersion: 1, create: (env) => ({
      score() { env.log.info("picked by ${version}"); return 0; }, ${hooks} }) };`;
}

async function start(source: string, workers: number): Promise<Proxy> {
  const { url } = backend();
  return proxy({
    config: { pools: { web: { backends: [url], strategy: "./mine.ts" } }, workers },
    files: { "mine.ts": source },
  });
}

function write(front: Proxy, source: string): void {
  writeFileSync(join(front.folder, "mine.ts"), source);
}

/** Until all serve. */
async function whole(front: Proxy): Promise<WorkerView[]> {
  for (;;) {
    const workers = await front.workers();
    if (workers.every(({ state }) => state === "serving")) return workers;
    await Bun.sleep(10);
  }
}

/** Requests, each on a connection of its own, until this one has been picked by; all are answered. */
async function untilPickedBy(front: Proxy, version: string): Promise<void> {
  while (!front.log().includes(`"picked by ${version}"`)) {
    const answer = await fetch(front.url, { headers: { connection: "close" } });
    expect(answer.status).toBe(200);
    await answer.text();
  }
}

/** Waits in the worker until there is a file `go`, and leaves one that has the worker's pid in its name. */
const HELD = `if (inWorker) {
  writeFileSync("begun-" + process.pid, "");
  while (!existsSync("go")) await new Promise((resolve) => setTimeout(resolve, 5));
}`;

/** The worker that tries the new strategy. */
async function begun(front: Proxy): Promise<number> {
  for (;;) {
    const name = readdirSync(front.folder).find((each) => each.startsWith("begun-"));
    if (name !== undefined) return Number(name.slice("begun-".length));
    await Bun.sleep(5);
  }
}

describe("a reload", () => {
  test("while no worker serves is tried like any other", async () => {
    const broken = 'if (existsSync("broken")) process.exit(3);';
    const front = await start(strategy("first", { top: broken }), 1);
    writeFileSync(join(front.folder, "broken"), "");
    process.kill((await front.workers())[0]?.pid ?? 0, "SIGKILL");
    // The third death: nobody is started for half a second.
    while (!front.log().includes('"waitMs":500')) await Bun.sleep(1);
    write(front, strategy("bad", { top: "if (inWorker) process.exit(4);" }));
    const bad = await front.reload();
    expect(bad.ok).toBe(false);
    expect(bad.problems[0]?.message).toContain("exit code 4, in import of strategy mine");
    write(front, strategy("second"));
    expect(await front.reload()).toMatchObject({ ok: true });
    await whole(front);
    await untilPickedBy(front, "second");
    expect(front.log()).not.toContain("picked by bad");
  });

  test("is not let through by a strategy that answers in its worker's name", async () => {
    const front = await start(strategy("first"), 2);
    const forge = `if (inWorker) {
      for (let generation = 0; generation < 50; generation++) {
        process.send({ type: "prepared", generation });
        process.send({ type: "committed", generation });
      }
      throw new Error("not in a worker");
    }`;
    write(front, strategy("forged", { top: forge }));
    const { ok, problems } = await front.reload();
    expect(ok).toBe(false);
    expect(problems[0]?.message).toContain("not in a worker");
    expect((await whole(front)).map(({ restarts }) => restarts)).toEqual([0, 0]);
    await untilPickedBy(front, "first");
    expect(front.log()).not.toContain("picked by forged");
    while (!front.log().includes("messages of a worker are ignored")) await Bun.sleep(5);
  });

  test("whose predecessor loops when it is disposed of costs one worker, and is refused", async () => {
    const front = await start(
      strategy("first", { hooks: "dispose() { if (inWorker) for (;;); }" }),
      3,
    );
    const before = await whole(front);
    write(front, strategy("second"));
    const { ok, problems } = await front.reload();
    expect(ok).toBe(false);
    expect(problems[0]?.message).toContain("in dispose of strategy mine of pool web");
    const after = await whole(front);
    const stayed = before.filter(({ pid }) => after.some((worker) => worker.pid === pid));
    expect(stayed).toHaveLength(2);
    expect(after.map(({ restarts }) => restarts).toSorted()).toEqual([0, 0, 1]);
    await untilPickedBy(front, "first");
    expect(front.log()).not.toContain("picked by second");
  });

  test("goes on when another worker is killed meanwhile", async () => {
    const front = await start(strategy("first"), 2);
    const before = await whole(front);
    write(front, strategy("second", { top: HELD }));
    const reloaded = front.reload();
    const first = await begun(front);
    const other = before.find(({ pid }) => pid !== first);
    process.kill(other?.pid ?? 0, "SIGKILL");
    while (!front.log().includes("worker ended, replacing it")) await Bun.sleep(5);
    writeFileSync(join(front.folder, "go"), "");
    expect(await reloaded).toMatchObject({ ok: true });
    const after = await whole(front);
    expect(after.map(({ pid }) => pid)).toContain(first);
    const logged = front.log().length;
    for (let i = 0; i < 20; i++) {
      await (await fetch(front.url, { headers: { connection: "close" } })).text();
    }
    expect(front.log().slice(logged)).not.toContain("picked by first");
    await untilPickedBy(front, "second");
  });

  test("is refused while a worker is stopped, which is left alone and goes on", async () => {
    const front = await start(strategy("first"), 2);
    const before = await whole(front);
    const stopped = before[0]?.pid ?? 0;
    process.kill(stopped, "SIGSTOP");
    write(front, strategy("second"));
    const { ok, problems } = await front.reload();
    process.kill(stopped, "SIGCONT");
    expect(ok).toBe(false);
    expect(problems[0]?.message).toContain(`(process ${stopped}) is stopped`);
    expect(await front.reload()).toMatchObject({ ok: true });
    const after = await whole(front);
    expect(after.map(({ pid }) => pid)).toEqual(before.map(({ pid }) => pid));
    await untilPickedBy(front, "second");
  }, 40_000);

  test("that a stop overtakes opens no listener", async () => {
    const { url } = backend();
    const web = { backends: [url], strategy: "./mine.ts" };
    const shutdown = { delay: "4s" };
    const front = await proxy({
      config: { pools: { web }, workers: 2, shutdown },
      files: { "mine.ts": strategy("first") },
    });
    const spare = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const { port } = spare;
    spare.stop(true);
    write(front, strategy("second", { top: `${HELD} if (inWorker) writeFileSync("done", "");` }));
    const listen = [{ address: "127.0.0.1:0" }, { address: `127.0.0.1:${port}` }];
    front.configure({ listen, pools: { web }, workers: 2, shutdown });
    front.signal("SIGHUP");
    await begun(front);
    front.signal("SIGTERM");
    while (!front.log().includes('"message":"stopping"')) await Bun.sleep(5);
    writeFileSync(join(front.folder, "go"), "");
    while (!existsSync(join(front.folder, "done"))) await Bun.sleep(5);
    const gone = front.exited.then(() => true);
    let connected = 0;
    while (!(await Promise.race([gone, Bun.sleep(5)]))) {
      await connectRaw(port).then(
        () => connected++,
        () => {},
      );
    }
    expect(connected).toBe(0);
    expect(await front.exited).toBe(0);
  });

  test("takes back an address that the one before gave up a moment ago", async () => {
    const { url } = backend();
    const web = { backends: [url] };
    const front = await proxy({ config: { pools: { web }, workers: 2 } });
    const spare = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const { port } = spare;
    spare.stop(true);
    const both = [{ address: "127.0.0.1:0" }, { address: `127.0.0.1:${port}` }];
    for (const listen of [both, both.slice(0, 1), both]) {
      front.configure({ listen, pools: { web }, workers: 2 });
      expect(await front.reload()).toMatchObject({ ok: true, problems: [] });
    }
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
  });
});
