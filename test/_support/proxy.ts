/** A real leastwise (master and workers) for integration tests. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ShadowStatus } from "../../src/admin/facts.ts";
import type { UserConfig } from "../../src/index.ts";
import { type Finished, leastwiseBinary } from "./binary.ts";

export interface Proxy {
  /** `http://127.0.0.1:port`, without a final slash. */
  readonly url: string;
  readonly port: number;
  readonly admin: string;
  readonly pid: number;
  /** Where its config and the files beside it are. */
  readonly folder: string;
  /** Writes another config file; nothing is reloaded by that alone. */
  configure(config: UserConfig): void;
  /** Another command of the same binary, asking this instance. */
  run(...args: string[]): Promise<Finished>;
  /** Over the admin API, with how it went. */
  reload(): Promise<ReloadView>;
  /** The `ready` line of its log. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** Everything written to stderr so far; with `onLog` only up to the `ready` line. */
  log(): string;
  pools(): Promise<PoolView[]>;
  workers(): Promise<WorkerView[]>;
  /** Resolves once `holds` is true of the pools; rejects with the last view after 20 s. */
  until(what: string, holds: (pools: PoolView[]) => boolean): Promise<PoolView[]>;
  signal(signal: NodeJS.Signals): void;
  readonly exited: Promise<number>;
  /** As a service manager does it: what runs may finish. */
  stop(): Promise<number>;
  /** At once, by a second signal. */
  end(): Promise<void>;
}

export interface ReloadView {
  readonly ok: boolean;
  readonly trigger: string;
  readonly problems: readonly { path: string; message: string }[];
}

export interface WorkerView {
  readonly id: number;
  readonly pid: number;
  readonly state: "starting" | "serving" | "stopping";
  readonly modules: number;
  readonly restarts: number;
  readonly pendingRequests: number | null;
  readonly clientConnections: number | null;
}

export interface PoolView {
  readonly name: string;
  readonly affinity: string | null;
  readonly strategy: {
    name: string;
    source: string;
    version: string;
    quarantined: boolean;
    faults: number;
  };
  readonly backends: readonly {
    id: string;
    url: string;
    weight: number;
    effectiveWeight: number;
    backup: boolean;
    health: string;
    ejectedUntil: string | null;
    draining: boolean;
    inFlight: number;
    requests: number;
    failures: number;
    connections: { open: number; idle: number };
  }[];
  readonly shadow: readonly ShadowStatus[];
}

export interface ProxyOptions {
  readonly config: UserConfig;
  readonly env?: Record<string, string>;
  /** More flags of `serve`. */
  readonly flags?: readonly string[];
  /** Default: the one that tests build. */
  readonly binary?: string;
  /** Soft and hard limit of file descriptors; default: those of this process. */
  readonly descriptors?: { readonly soft: number; readonly hard: number };
  /** A descriptor for its standard output; default: none. */
  readonly stdout?: number;
  /** Gets every piece of its log instead of `log()`, which would grow with a long run. */
  readonly onLog?: (text: string) => void;
  /** Files laid beside the config, by name. */
  readonly files?: Record<string, string>;
}

/** Starts the compiled binary on free ports and waits until it is ready. */
export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const folder = mkdtempSync(join(tmpdir(), "leastwise-test-"));
  // Of one that is killed nothing is left either.
  const temp = join(folder, "tmp");
  mkdirSync(temp);
  for (const [name, text] of Object.entries(options.files ?? {})) {
    writeFileSync(join(folder, name), text);
  }
  const configure = (changed: UserConfig): void => {
    const config = {
      listen: [{ address: "127.0.0.1:0" }],
      ...changed,
      admin: { address: "127.0.0.1:0", ...changed.admin },
    };
    writeFileSync(join(folder, "leastwise.config.json"), JSON.stringify(config));
  };
  configure(options.config);
  const binary = options.binary ?? (await leastwiseBinary());
  const child = Bun.spawn(
    [...limited(options.descriptors), binary, "serve", ...(options.flags ?? [])],
    {
      cwd: folder,
      env: { ...cleanEnv(), TMPDIR: temp, ...options.env },
      stdin: "ignore",
      stdout: options.stdout ?? "ignore",
      stderr: "pipe",
    },
  );
  let log = "";
  const ready = Promise.withResolvers<
    { listen: string; admin: string } & Record<string, unknown>
  >();
  const stderr = child.stderr.getReader();
  const reading = (async () => {
    const decoder = new TextDecoder();
    let isReady = false;
    for (let read = await stderr.read(); !read.done; read = await stderr.read()) {
      const text = decoder.decode(read.value, { stream: true });
      options.onLog?.(text);
      if (isReady && options.onLog) continue;
      log += text;
      if (isReady) continue;
      const line = log.split("\n").find((each) => each.includes('"message":"ready"'));
      if (line === undefined) continue;
      isReady = true;
      ready.resolve(JSON.parse(line));
    }
    ready.reject(new Error(`leastwise ended before it was ready:\n${log}`));
  })();
  void child.exited.then(() => rmSync(folder, { recursive: true, force: true }));
  const line = await ready.promise;
  const { admin } = line;
  const [listen = ""] = line.listen.split(", ");
  const adminUrl = `http://${admin}`;
  const get = async (path: string) => (await fetch(`${adminUrl}${path}`)).json();
  const pools = () => get("/api/v1/pools") as Promise<PoolView[]>;
  return {
    url: `http://${listen}`,
    port: Number(listen.split(":").at(-1)),
    admin: adminUrl,
    pid: child.pid,
    folder,
    configure,
    async run(...args) {
      const running = Bun.spawn([binary, ...args, "--admin", admin], {
        cwd: folder,
        env: { ...cleanEnv(), ...options.env },
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
      const [exitCode, stdout, stderr] = await Promise.all([
        running.exited,
        running.stdout.text(),
        running.stderr.text(),
      ]);
      return { exitCode, stdout, stderr };
    },
    async reload() {
      const answer = await fetch(`${adminUrl}/api/v1/reload`, { method: "POST" });
      return (await answer.json()) as ReloadView;
    },
    ready: line,
    log: () => log,
    pools,
    workers: () => get("/api/v1/workers") as ReturnType<Proxy["workers"]>,
    async until(what, holds) {
      const deadline = Date.now() + 20_000;
      for (;;) {
        const view = await pools();
        if (holds(view)) return view;
        if (Date.now() > deadline) {
          throw new Error(`never saw ${what}: ${JSON.stringify(view)}\n${log}`);
        }
        await Bun.sleep(10);
      }
    },
    signal: (signal) => child.kill(signal),
    exited: child.exited,
    async stop() {
      child.kill("SIGTERM");
      const code = await child.exited;
      await reading;
      return code;
    },
    async end() {
      // Two of one kind could be taken for one.
      child.kill("SIGTERM");
      child.kill("SIGINT");
      await child.exited;
      // Bun (1.4.5) misses the end of some: of a child that was killed it waited for ever.
      await stderr.cancel();
      await reading;
    },
  };
}

function cleanEnv(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    ([name, value]) => value !== undefined && !/^(LEASTWISE|OTEL)_/.test(name),
  );
  return Object.fromEntries(kept) as Record<string, string>;
}

/** Nothing in flight and no more requests than were answered: the books are closed. */
export function isQuiet(pools: readonly PoolView[]): boolean {
  return pools.every((pool) => pool.backends.every((backend) => backend.inFlight === 0));
}

function limited(descriptors: ProxyOptions["descriptors"]): string[] {
  if (descriptors === undefined) return [];
  const { soft, hard } = descriptors;
  return ["/bin/sh", "-c", `ulimit -Sn ${soft} && ulimit -Hn ${hard} && exec "$0" "$@"`];
}
