/** What the benchmarks share: proxies in front of three backends on loopback, loaded in turns. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readCpuSeconds } from "./cpu-time.ts";
import { Load } from "./load.ts";
import type { ProxyPlace, ProxyRecipe } from "./proxies.ts";
import type { Measured } from "./report.ts";

export interface Running {
  readonly name: string;
  readonly pid: number;
  readonly port: number;
}

export interface Settings {
  readonly rounds: number;
  readonly requests: number;
  readonly connections: number;
}

/** Requests to one proxy before the next one has its turn. */
const SLICE = 1000;

/**
 * Rounds, in each of which the proxies take turns of a few hundred requests: a machine that is
 * slow for a second, as virtual ones are, is slow for all of them. Their order changes from turn to
 * turn. CPU time is read at the ends of a round, so that what a proxy does for its requests later,
 * collecting garbage or sending spans, counts as well.
 */
export async function measure(
  proxies: readonly Running[],
  { rounds, requests, connections }: Settings,
): Promise<Measured[]> {
  await using stack = new AsyncDisposableStack();
  const measured: (Measured & { cpuMicros: number[]; requestsPerSecond: number[] })[] = [];
  const loads: Load[] = [];
  for (const { name, port } of proxies) {
    console.error(`warming up: ${name}`);
    const load = stack.use(await Load.connect(port, connections));
    await load.run(requests);
    loads.push(load);
    measured.push({ name, cpuMicros: [], requestsPerSecond: [] });
  }
  for (let round = 1; round <= rounds; round += 1) {
    console.error(`round ${round} of ${rounds}`);
    const before = await Promise.all(proxies.map(({ pid }) => readCpuSeconds(pid)));
    const seconds = await takeTurns(loads, requests);
    for (const [index, { pid }] of proxies.entries()) {
      const used = (await readCpuSeconds(pid)) - (before[index] ?? 0);
      measured[index]?.cpuMicros.push((used / requests) * 1e6);
      measured[index]?.requestsPerSecond.push(requests / (seconds[index] ?? 0));
    }
  }
  return measured;
}

/** Resolves to the seconds that each load took for its requests. */
async function takeTurns(loads: readonly Load[], requests: number): Promise<number[]> {
  const seconds = loads.map(() => 0);
  for (let sent = 0, turn = 0; sent < requests; sent += SLICE, turn += 1) {
    for (let i = 0; i < loads.length; i += 1) {
      const index = (i + turn) % loads.length;
      const load = loads[index];
      if (load === undefined) continue;
      seconds[index] = (seconds[index] ?? 0) + (await load.run(Math.min(SLICE, requests - sent)));
    }
  }
  return seconds;
}

/** In a folder of its own; null when it is not installed. Stopped with the stack. */
export async function startProxyUnderTest(
  createRecipe: (place: ProxyPlace) => ProxyRecipe | null | Promise<ProxyRecipe | null>,
  backends: readonly number[],
  stack: AsyncDisposableStack,
): Promise<Running | null> {
  const folder = await mkdtemp(join(tmpdir(), "bench-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const place = { folder, port: freePort(), backends };
  const recipe = await createRecipe(place);
  return recipe === null ? null : start(recipe, place, stack);
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
    env: { ...process.env, ...recipe.env },
    stdout: "ignore",
    stderr: Bun.file(join(folder, "stderr.log")),
  });
  stack.defer(() => stop(running));
  const deadline = performance.now() + 10_000;
  while (performance.now() < deadline && running.exitCode === null) {
    try {
      await using load = await Load.connect(port, 1);
      await load.run(1);
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

export async function startBackends(stack: AsyncDisposableStack): Promise<number[]> {
  const running = Bun.spawn([process.execPath, join(import.meta.dir, "backends.ts")], {
    stdout: "pipe",
    stderr: "inherit",
  });
  stack.defer(() => stop(running));
  for await (const line of running.stdout) return JSON.parse(new TextDecoder().decode(line));
  throw new Error("the backends ended before they listened");
}

/** nginx and HAProxy cannot tell which port they took, so the port has to be known before. */
export function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

/** The flags of every benchmark. Throws an Error that says what is allowed. */
export function parseSettings(values: Readonly<Record<keyof Settings, string>>): Settings {
  if (process.platform !== "linux")
    throw new Error("CPU time is read from /proc, which is Linux's");
  return {
    rounds: parseCount("--rounds", values.rounds, 100),
    requests: parseCount("--requests", values.requests, 1_000_000),
    connections: parseCount("--connections", values.connections, 1000),
  };
}

function parseCount(flag: string, text: string, max: number): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= max) return count;
  throw new Error(`${flag}: found ${text}, allowed is a whole number from 1 to ${max}`);
}
