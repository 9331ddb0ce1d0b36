/** The access log in a pipe, which several workers share: a line that others tear is of no use to anybody. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { UserConfig } from "../../src/index.ts";
import { leastwiseBinary } from "../_support/binary.ts";
import { useHarness } from "../_support/harness.ts";

const { backend } = useHarness();

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "leastwise-test-"));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});
const children: Bun.Subprocess[] = [];

interface Line {
  readonly message: string;
  readonly path: string;
  readonly query: string | null;
  readonly listen?: string;
  readonly truncated?: readonly string[];
}

test.each([
  ["stderr", "all"],
  ["a FIFO", { file: "fifo", log: "all" }],
] as const)(
  "%s: lines of two workers and a client with long paths stay whole",
  async (_name, accessLog) => {
    const config = {
      listen: [{ address: "127.0.0.1:0" }],
      admin: { address: "127.0.0.1:0" },
      workers: 2,
      pools: { web: { backends: [backend().url], health: false } },
      accessLog,
    } satisfies UserConfig;
    writeFileSync(join(folder, "leastwise.config.json"), JSON.stringify(config));
    expect(Bun.spawnSync(["mkfifo", "fifo", "log-fifo"], { cwd: folder }).exitCode).toBe(0);
    const readers = ["fifo", "log-fifo"].map((name) => {
      writeFileSync(join(folder, `${name}.log`), "");
      return Bun.spawn(["sh", "-c", `exec cat ${name} > ${name}.log`], {
        cwd: folder,
        stdin: "ignore",
        stderr: "ignore",
      });
    });
    const serve = 'exec "$0" serve 2> log-fifo 3> fifo';
    const child = Bun.spawn(["sh", "-c", serve, await leastwiseBinary()], {
      cwd: folder,
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
    children.push(child, ...readers);
    const said = () => readFileSync(join(folder, "log-fifo.log"), "latin1");
    const ready = await until("it is ready", () =>
      said()
        .split("\n")
        .find((line) => line.includes('"message":"ready"')),
    );
    const url = `http://${(JSON.parse(ready) as Line).listen}`;
    const long = `/evil/${"p".repeat(12_000)}`;
    const clients = Array.from({ length: 12 }, async (_, client) => {
      for (let i = 0; i < 150; i++) {
        const path = client < 4 ? long : `/n?${client}-${i}`;
        const response = await fetch(`${url}${path}`);
        expect(response.status).toBe(200);
        await response.arrayBuffer();
      }
    });
    await Promise.all(clients);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    await Promise.all(readers.map(({ exited }) => exited));
    const written = accessLog === "all" ? said() : readFileSync(join(folder, "fifo.log"), "latin1");
    // Each of them is JSON, or this throws.
    const lines = written
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Line)
      .filter(({ message }) => message === "request");
    expect(lines.filter(({ path }) => path.startsWith("/evil/"))).toHaveLength(600);
    expect(new Set(lines.flatMap(({ query }) => query ?? [])).size).toBe(1200);
    for (const { path, truncated } of lines) {
      if (path === "/n") expect(truncated).toBeUndefined();
      else {
        expect(truncated).toEqual(["path"]);
        expect(long).toStartWith(path);
      }
    }
  },
  60_000,
);

async function until<T>(what: string, find: () => T | undefined): Promise<T> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const found = find();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`never saw that ${what}`);
    await Bun.sleep(10);
  }
}
