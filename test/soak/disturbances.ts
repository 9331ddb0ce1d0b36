/** What the soak does to the proxy while requests run, and which failures of requests each of it explains. */
import { readFileSync } from "node:fs";
import { isAlive } from "../_support/alive.ts";
import { connectRaw } from "../_support/raw-client.ts";
import type { SoakEnd } from "./soak-client.ts";
import { type SoakStage, WORKERS } from "./soak-stage.ts";

export interface Disturbance {
  /** How often, compared with the others. */
  readonly weight: number;
  /** Whether it leaves workers, and what their memory holds, as they are. */
  readonly calm: boolean;
  /** Whether a request that was under way meanwhile may end like this. */
  explains(end: SoakEnd): boolean;
  /** Resolves when everything is as before; rejects with what should have been. */
  run(stage: SoakStage, random: () => number): Promise<void>;
}

const nothing = (): boolean => false;
/** More than two workers have room for. */
const CROWD = 700;
/** The kernel draws the worker of each connection: one that still refuses is missed once in 16 million times. */
const SERVED_IN_A_ROW = 24;
/** So many requests go elsewhere before a drained backend is said to get none. */
const DRAINED_FOR = 100;
/** Longer than anything takes on a machine that computes a tenth: what it cuts off would never have come. */
const PATIENCE_MS = 90_000;
const CONNECTION_LOST = ["no connection", "closed before an answer", "broken answer"];

export const DISTURBANCES: Readonly<Record<string, Disturbance>> = {
  reload: {
    weight: 4,
    calm: true,
    explains: nothing,
    async run(stage, random) {
      const without = random() < 0.5;
      stage.editConfig((pool) => {
        const urls = stage.backends.map(({ url }) => url);
        pool["backends"] = without ? urls.slice(0, -1) : urls;
        pool["headers"] = { response: { set: { "X-Soak": String(Math.floor(random() * 1e6)) } } };
      });
      await reloaded(stage, true, () => stage.proxy.signal("SIGHUP"));
      stage.editConfig((pool) => {
        pool["backends"] = stage.backends.map(({ url }) => url);
      });
      await reloaded(stage, true, () => stage.post("reload"));
    },
  },
  "bad reload": {
    weight: 1,
    calm: true,
    explains: nothing,
    async run(stage) {
      stage.editConfig((pool) => {
        pool["retries"] = 3;
      });
      await reloaded(stage, false, () => stage.proxy.signal("SIGHUP"));
      stage.editConfig((pool) => {
        delete pool["retries"];
      });
      await reloaded(stage, true, () => stage.proxy.signal("SIGHUP"));
    },
  },
  edit: {
    weight: 4,
    calm: false,
    explains: nothing,
    run: (stage) => edited(stage),
  },
  drain: {
    weight: 2,
    calm: true,
    explains: nothing,
    async run(stage, random) {
      const { id } = one(stage.backends, random);
      const path = `pools/web/backends/${encodeURIComponent(id)}`;
      expectOk(await stage.post(`${path}/drain`));
      let its = await sharesOf(stage, id);
      await until(`${id} has finished what it had`, async () => {
        its = await sharesOf(stage, id);
        return its.inFlight === 0;
      });
      const before = its;
      await until("the others have got requests", async () => {
        its = await sharesOf(stage, id);
        return its.others >= before.others + DRAINED_FOR;
      });
      if (its.requests !== before.requests) {
        throw new Error(`a drained backend got ${its.requests - before.requests} requests`);
      }
      expectOk(await stage.post(`${path}/undrain`));
      const drained = its.requests;
      await until(`${id} gets requests again`, async () => {
        return (await sharesOf(stage, id)).requests > drained;
      });
    },
  },
  "worker kill": {
    weight: 2,
    calm: false,
    explains: ({ failure }) => CONNECTION_LOST.includes(failure ?? ""),
    async run(stage, random) {
      const { pid } = one(await stage.serving(), random);
      process.kill(pid, "SIGKILL");
      await until("the killed worker's successor", async () => {
        const serving = await stage.serving();
        return serving.length === WORKERS && serving.every((each) => each.pid !== pid);
      });
    },
  },
  "backend kill": {
    weight: 2,
    calm: true,
    // What was begun cannot be repeated: an answer that is under way, a POST that was sent.
    explains: ({ failure }) => failure === "broken answer" || failure === "502 reset",
    async run(stage, random) {
      const backend = one(stage.backends, random);
      await backend.kill();
      await Bun.sleep(500 + 1000 * random());
      await backend.start();
      await until(`${backend.id} is back`, async () => {
        const view = (await stage.pool()).backends.find(({ id }) => id === backend.id);
        return view?.health === "healthy" && view.ejectedUntil === null;
      });
    },
  },
  recycle: {
    weight: 0.5,
    calm: false,
    // What waits in the kernel for the listener that closes is reset, unless the kernel hands it on.
    explains: ({ failure, reused }) =>
      !reused &&
      !migrates() &&
      ["no connection", "closed before an answer"].includes(failure ?? ""),
    async run(stage) {
      const before = (await stage.serving()).map(({ pid }) => pid);
      expectOk(await stage.post("recycle"));
      await until("new workers alone", async () => {
        const workers = await stage.proxy.workers();
        return workers.length === WORKERS && workers.every(({ pid }) => !before.includes(pid));
      });
    },
  },
  loop: {
    weight: 0.5,
    calm: false,
    explains: ({ failure }) => CONNECTION_LOST.includes(failure ?? ""),
    async run(stage) {
      // A version that has killed twice would be put in quarantine.
      await edited(stage);
      const before = (await stage.serving()).map(({ pid }) => pid);
      void fetch(`${stage.proxy.url}/loop`).catch(() => {});
      await until("the looping worker's successor", async () => {
        const serving = await stage.serving();
        return serving.length === WORKERS && serving.some(({ pid }) => !before.includes(pid));
      });
    },
  },
  crowd: {
    weight: 1,
    calm: false,
    explains: ({ failure }) =>
      failure === "503 overloaded" || CONNECTION_LOST.includes(failure ?? ""),
    async run(stage) {
      const crowd = await Promise.all(
        Array.from({ length: CROWD }, async () => {
          const from = { localAddress: "127.0.0.2" };
          const connection = await connectRaw(stage.proxy.port, from).catch(() => null);
          connection?.send("GET /bytes/1 HTTP/1.1\r\nHost: crowd\r\n\r\n");
          return connection;
        }),
      );
      await Bun.sleep(500);
      for (const each of crowd) each?.end();
      await until(
        "requests on new connections are served, whichever worker gets them",
        async () => {
          for (let count = 0; count < SERVED_IN_A_ROW; count++) {
            const answer = await fetch(stage.proxy.url, { keepalive: false }).catch(() => null);
            if (answer?.status !== 200 || answer.headers.get("connection") === "close")
              return false;
          }
          return true;
        },
      );
    },
  },
  pause: {
    weight: 0.5,
    calm: true,
    explains: nothing,
    async run(stage, random) {
      const pids = [stage.proxy.pid, ...(await stage.serving()).map(({ pid }) => pid)];
      const chosen = random() < 0.5 ? pids : [one(pids, random)];
      try {
        for (const pid of chosen) process.kill(pid, "SIGSTOP");
        await Bun.sleep(2500);
      } finally {
        // Of those one may have ended meanwhile: the others must not stand still for ever.
        for (const pid of chosen.filter(isAlive)) process.kill(pid, "SIGCONT");
      }
      const after = (await stage.serving()).map(({ pid }) => pid);
      if (!pids.slice(1).every((pid) => after.includes(pid))) {
        throw new Error("a worker that stood still was replaced");
      }
    },
  },
};

/** One of them by its weight; with `calm` one that leaves workers alone. */
export function drawDisturbance(random: () => number, calm: boolean): string {
  const all = Object.entries(DISTURBANCES).filter(([, each]) => each.calm || !calm);
  let left = random() * all.reduce((sum, [, { weight }]) => sum + weight, 0);
  for (const [name, { weight }] of all) {
    left -= weight;
    if (left < 0) return name;
  }
  return "reload";
}

interface Shares {
  readonly inFlight: number;
  readonly requests: number;
  /** Requests of all other backends. */
  readonly others: number;
}

async function sharesOf(stage: SoakStage, id: string): Promise<Shares> {
  const { backends } = await stage.pool();
  const own = backends.find((each) => each.id === id);
  if (own === undefined) throw new Error(`the admin API tells of no backend ${id}`);
  const all = backends.reduce((sum, { requests }) => sum + requests, 0);
  return { inFlight: own.inFlight, requests: own.requests, others: all - own.requests };
}

/** Resolves when another version of the strategy is in force. */
async function edited(stage: SoakStage): Promise<void> {
  const { version } = (await stage.pool()).strategy;
  stage.editStrategy();
  stage.proxy.signal("SIGHUP");
  await until("the new version of the strategy", async () => {
    const { strategy } = await stage.pool();
    return strategy.version !== version;
  });
}

/** Resolves when the reload that `ask` asks for has ended, as it should. */
async function reloaded(stage: SoakStage, ok: boolean, ask: () => unknown): Promise<void> {
  interface Reloads {
    readonly reloads: number;
    readonly last: { readonly ok: boolean } | null;
  }
  const look = async () =>
    (await (await fetch(`${stage.proxy.admin}/api/v1/reload`)).json()) as Reloads;
  const before = (await look()).reloads;
  await ask();
  await until("the reload", async () => (await look()).reloads > before);
  const { last } = await look();
  if (last?.ok !== ok) throw new Error(`a reload went wrong: ${JSON.stringify(last)}`);
}

export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${PATIENCE_MS} ms: ${what}`);
    await Bun.sleep(20);
  }
}

function expectOk({ ok, status, url }: Response): void {
  if (!ok) throw new Error(`${url} answered ${status}`);
}

function one<T>(all: readonly T[], random: () => number): T {
  const chosen = all[Math.floor(random() * all.length)];
  if (chosen === undefined) throw new Error("there is none to choose from");
  return chosen;
}

function migrates(): boolean {
  try {
    return readFileSync("/proc/sys/net/ipv4/tcp_migrate_req", "utf8").trim() === "1";
  } catch {
    return false;
  }
}
