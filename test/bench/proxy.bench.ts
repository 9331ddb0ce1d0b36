/**
 * `bun run bench`: CPU time of each proxied request, of the compiled leastwise beside nginx and
 * HAProxy where these are installed (Debian: nginx, haproxy). Each has one worker, three backends on
 * loopback, 64 keep-alive connections and a body of 18 bytes; rounds are interleaved. The time is
 * that of all processes of a proxy, from /proc. Figures of different machines do not compare; ratios
 * of one run do. Flags: --rounds, --requests (of each round), --connections, --json.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { leastwiseBinary } from "../_support/binary.ts";
import { readCpuSeconds } from "./cpu-time.ts";
import { runLoad } from "./load.ts";
import { leastwiseRecipe, type ProxyPlace, type ProxyRecipe, recipes } from "./proxies.ts";
import { compare, formatTable, type Measured } from "./report.ts";

interface Running {
  readonly name: string;
  readonly pid: number;
  readonly port: number;
}

interface Settings {
  readonly rounds: number;
  readonly requests: number;
  readonly connections: number;
}

async function measure(
  proxies: readonly Running[],
  { rounds, requests, connections }: Settings,
): Promise<Measured[]> {
  const measured = proxies.map(({ name }) => ({
    name,
    cpuMicros: [] as number[],
    requestsPerSecond: [] as number[],
  }));
  for (let round = 1; round <= rounds; round += 1) {
    for (const [index, { name, pid, port }] of proxies.entries()) {
      console.error(`round ${round} of ${rounds}: ${name}`);
      await runLoad({ port, requests: Math.ceil(requests / 10), connections });
      const before = await readCpuSeconds(pid);
      const seconds = await runLoad({ port, requests, connections });
      const used = (await readCpuSeconds(pid)) - before;
      measured[index]?.cpuMicros.push((used / requests) * 1e6);
      measured[index]?.requestsPerSecond.push(requests / seconds);
    }
  }
  return measured;
}

/** Starts it and waits until a request comes back through it. */
async function start(
  recipe: ProxyRecipe,
  { folder, port }: ProxyPlace,
  stack: AsyncDisposableStack,
): Promise<Running> {
  for (const [name, text] of Object.entries(recipe.files))
    await Bun.write(join(folder, name), text);
  const running = Bun.spawn([...recipe.command], {
    cwd: folder,
    stdout: "ignore",
    stderr: Bun.file(join(folder, "stderr.log")),
  });
  stack.defer(() => stop(running));
  const deadline = performance.now() + 10_000;
  while (performance.now() < deadline && running.exitCode === null) {
    try {
      await runLoad({ port, requests: 1, connections: 1 });
      return { name: recipe.name, pid: running.pid, port };
    } catch {
      await Bun.sleep(50);
    }
  }
  const log = await Bun.file(join(folder, "stderr.log")).text();
  throw new Error(`${recipe.name} does not answer on port ${port}:\n${log}`);
}

async function stop(running: Bun.Subprocess): Promise<void> {
  running.kill("SIGTERM");
  const timer = setTimeout(() => running.kill("SIGKILL"), 5000);
  await running.exited;
  clearTimeout(timer);
}

async function startBackends(stack: AsyncDisposableStack): Promise<number[]> {
  const running = Bun.spawn([process.execPath, join(import.meta.dir, "backends.ts")], {
    stdout: "pipe",
    stderr: "inherit",
  });
  stack.defer(() => stop(running));
  for await (const line of running.stdout) return JSON.parse(new TextDecoder().decode(line));
  throw new Error("the backends ended before they listened");
}

/** nginx and HAProxy cannot tell which port they took, so the port has to be known before. */
function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "3" },
      requests: { type: "string", default: "60000" },
      connections: { type: "string", default: "64" },
      json: { type: "boolean", default: false },
    },
  });
  const settings = {
    rounds: parseCount("--rounds", values.rounds, 20),
    requests: parseCount("--requests", values.requests, 1_000_000),
    connections: parseCount("--connections", values.connections, 1000),
  };
  if (process.platform !== "linux")
    throw new Error("CPU time is read from /proc, which is Linux's");

  await using stack = new AsyncDisposableStack();
  const backends = await startBackends(stack);
  const running: Running[] = [];
  for (const [name, createRecipe] of Object.entries({
    ...recipes,
    leastwise: async (place: ProxyPlace) =>
      leastwiseRecipe(await leastwiseBinary(), place, freePort()),
  })) {
    const folder = await mkdtemp(join(tmpdir(), `bench-${name}-`));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const place = { folder, port: freePort(), backends };
    const recipe = await createRecipe(place);
    if (recipe === null) console.error(`${name} is not installed: left out`);
    else running.push(await start(recipe, place, stack));
  }

  const reference = running[0]?.name ?? "leastwise";
  const rows = compare(await measure(running, settings), reference);
  console.log(
    values.json ? JSON.stringify({ ...settings, reference, rows }) : formatTable(rows, reference),
  );
}

function parseCount(flag: string, text: string, max: number): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= max) return count;
  throw new Error(`${flag}: found ${text}, allowed is a whole number from 1 to ${max}`);
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
