/** What the soak plays on: the proxy, its config and strategy files, and the backends. */
import {
  mkdtempSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { UserConfig } from "../../src/index.ts";
import { type PoolView, type Proxy, startProxy, type WorkerView } from "../_support/proxy.ts";
import { type SoakBackend, startSoakBackend } from "./soak-backend.ts";
import { SoakLog } from "./soak-log.ts";

const BACKENDS = 4;
export const WORKERS = 2;
/** Of each process: few, so that a crowd finds their end. */
const DESCRIPTORS = { soft: 512, hard: 512 };

export class SoakStage {
  readonly proxy: Proxy;
  readonly log: SoakLog;
  readonly backends: readonly SoakBackend[];
  readonly #folder: string;
  readonly #configFile: string;
  readonly #leak: number;
  #edits = 0;

  private constructor(
    proxy: Proxy,
    log: SoakLog,
    backends: readonly SoakBackend[],
    folder: string,
    leak: number,
  ) {
    this.#leak = leak;
    this.proxy = proxy;
    this.log = log;
    this.backends = backends;
    this.#folder = folder;
    this.#configFile = join(readlinkSync(`/proc/${proxy.pid}/cwd`), "leastwise.config.json");
  }

  /** `leak`: so many bytes the strategy keeps of each request, to show that it is found. */
  static async open(leak: number): Promise<SoakStage> {
    const folder = mkdtempSync(join(tmpdir(), "leastwise-soak-"));
    const strategy = join(folder, "soak.ts");
    writeFileSync(strategy, strategyText(0, leak));
    const backends = await Promise.all(Array.from({ length: BACKENDS }, startSoakBackend));
    const config = {
      workers: WORKERS,
      accessLog: { log: "errors", file: join(folder, "access.log") },
      shutdown: { grace: "5s" },
      pools: {
        web: {
          backends: backends.map(({ url }) => url),
          strategy,
          health: { path: "/health", interval: "200ms", timeout: "2s", rise: 1, fall: 2 },
          ejection: { base: "1s" },
        },
      },
    } satisfies UserConfig;
    const log = new SoakLog();
    const onLog = (text: string): void => log.push(text);
    const proxy = await startProxy({ config, descriptors: DESCRIPTORS, onLog });
    return new SoakStage(proxy, log, backends, folder, leak);
  }

  /** Exit code of the proxy. */
  async close(): Promise<number> {
    const code = await this.proxy.stop();
    await Promise.all(this.backends.map((backend) => backend.kill()));
    rmSync(this.#folder, { recursive: true, force: true });
    return code;
  }

  async pool(): Promise<PoolView> {
    const [pool] = await this.proxy.pools();
    if (pool === undefined) throw new Error("the admin API tells of no pool");
    return pool;
  }

  async serving(): Promise<WorkerView[]> {
    return (await this.proxy.workers()).filter(({ state }) => state === "serving");
  }

  async post(path: string): Promise<Response> {
    return fetch(`${this.proxy.admin}/api/v1/${path}`, { method: "POST" });
  }

  /** Writes another version of the strategy, as an editor does; about 10 KB. */
  editStrategy(): void {
    this.#replace(join(this.#folder, "soak.ts"), strategyText(++this.#edits, this.#leak));
  }

  /** `change` gets the pool's section. */
  editConfig(change: (pool: Record<string, unknown>) => void): void {
    const config = JSON.parse(readFileSync(this.#configFile, "utf8"));
    change(config.pools.web);
    this.#replace(this.#configFile, JSON.stringify(config));
  }

  #replace(path: string, text: string): void {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  }
}

/** Least connections that loops for one path; each version is another one. */
function strategyText(version: number, leak: number): string {
  const table = Array.from({ length: 200 }, (_, i) => `"entry ${i} of version ${version} of it"`);
  return `
    const TABLE = [${table.join(", ")}];
    const LEAKED = [];
    export default { name: "soak", apiVersion: 1, create: () => ({
      score(backend, { request }) {
        while (request.path === "/loop");
        return backend.inFlight + (TABLE.length === 200 ? 0 : 1);
      },
      onStart() {
        if (${leak} > 0) LEAKED.push(Buffer.alloc(${leak}, 1));
      },
    }) };`;
}
