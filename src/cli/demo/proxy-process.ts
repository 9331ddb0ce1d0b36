import { join } from "node:path";
import { RuntimeError } from "../../errors.ts";
import { selfCommand } from "../../process/self.ts";
import { orAborted } from "./abort.ts";
import type { RunningBackend } from "./backends.ts";
import type { RowPlan } from "./demo-report.ts";
import { createProxyConfig } from "./proxy-config.ts";

export interface ProxyProcess {
  readonly port: number;
  /** Throws RuntimeError with the end of its log when the proxy is not running any more. */
  assertRunning(): Promise<void>;
  stop(): Promise<void>;
}

export interface ProxyOptions {
  readonly row: RowPlan;
  readonly backends: readonly RunningBackend[];
  /** For its config file and its log; must exist. */
  readonly folder: string;
  /** Told the process id at once, so that somebody can end the proxy if this process cannot. */
  readonly onSpawn: (pid: number) => void;
  readonly signal: AbortSignal;
}

const HOSTNAME = "127.0.0.1";
const READY_TIMEOUT_MS = 15_000;
const READY_POLL_MS = 25;
/** The time to end by itself after SIGTERM, then again after a second one, before it is killed. */
const STOP_TIMEOUT_MS = 3000;
const LOG_TAIL_CHARACTERS = 2000;
/** A free port can be taken by somebody else before the proxy binds it. */
const START_TRIES = 3;

/** Starts the real proxy as users do, with a config file, and waits until it says that it is ready. */
export async function startProxy(options: ProxyOptions): Promise<ProxyProcess> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryStart(options);
    } catch (error) {
      if (attempt === START_TRIES || !(error instanceof RuntimeError)) throw error;
    }
  }
}

async function tryStart(options: ProxyOptions): Promise<ProxyProcess> {
  const { row, backends, folder, signal } = options;
  const port = findFreePort();
  const listen = `${HOSTNAME}:${port}`;
  const admin = `${HOSTNAME}:${findFreePort()}`;
  const configFile = join(folder, "leastwise.config.json");
  const logFile = Bun.file(join(folder, "proxy.log"));
  // Spawning does not truncate it, and an earlier proxy's end must not be taken for this one's.
  await Bun.write(logFile, "");
  await Bun.write(configFile, JSON.stringify(createProxyConfig({ row, backends, listen, admin })));

  const child = Bun.spawn(selfCommand(["serve", "--config", configFile]), {
    stdin: "ignore",
    stdout: "ignore",
    stderr: logFile,
    env: cleanEnvironment(),
  });
  options.onSpawn(child.pid);

  async function stop(): Promise<void> {
    for (const stopSignal of ["SIGTERM", "SIGTERM", "SIGKILL"] as const) {
      child.kill(stopSignal);
      if (await exitsWithin(child.exited, STOP_TIMEOUT_MS)) return;
    }
  }

  async function assertRunning(): Promise<void> {
    if (child.exitCode === null && child.signalCode === null) return;
    const log = await logFile.text();
    const how = child.signalCode ?? `exit code ${child.exitCode}`;
    throw new RuntimeError(
      `the proxy for ${row.label} ended (${how}):\n${log.slice(-LOG_TAIL_CHARACTERS)}`,
    );
  }

  try {
    const deadline = performance.now() + READY_TIMEOUT_MS;
    while (!(await isReady(admin))) {
      await assertRunning();
      if (performance.now() > deadline) {
        throw new RuntimeError(
          `the proxy for ${row.label} was not ready after ${READY_TIMEOUT_MS / 1000} s`,
        );
      }
      await orAborted(Bun.sleep(READY_POLL_MS), signal);
    }
    return { port, assertRunning, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Unlike a sleep, its timer does not keep the process alive afterwards. */
async function exitsWithin(exited: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const timeout = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => timeout.resolve(false), timeoutMs);
  try {
    return await Promise.race([exited.then(() => true), timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}

async function isReady(admin: string): Promise<boolean> {
  try {
    return (await fetch(`http://${admin}/-/ready`, { signal: AbortSignal.timeout(1000) })).ok;
  } catch {
    return false;
  }
}

/** For both of the proxy's addresses: nobody could ask it which port it got. */
function findFreePort(): number {
  const listener = Bun.listen({ hostname: HOSTNAME, port: 0, socket: { data() {} } });
  listener.stop(true);
  return listener.port;
}

/** Settings that are meant for the user's own `serve` must not change what is measured. */
function cleanEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith("LEASTWISE_")),
  );
}
