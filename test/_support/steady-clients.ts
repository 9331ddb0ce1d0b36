/** Clients that keep their connections and send at a steady pace: what each request met, and in which worker. */
import type { FakeHandler } from "./fake-backend.ts";
import { connectRaw, type RawConnection } from "./raw-client.ts";

export interface Answered {
  readonly atMs: number;
  readonly tookMs: number;
  readonly status: number;
  /** Process of the worker that it came through. */
  readonly worker: number;
}

export interface Lost {
  readonly atMs: number;
  /** Null: nothing had come over that connection yet. */
  readonly worker: number | null;
}

export interface SteadyClients {
  readonly answers: readonly Answered[];
  readonly losses: readonly Lost[];
  /** Resolves when the requests that are under way have ended. */
  stop(): Promise<void>;
}

/** What a backend answers so that clients know their worker: request ids begin with its process. */
export const tellWorker: FakeHandler = (request) => {
  const [pid = ""] = (request.header("x-request-id") ?? "").split("-");
  return { headers: [["X-Worker", String(Number.parseInt(pid, 36))]], body: "ok" };
};

export function startClients(port: number, count: number, everyMs: number): SteadyClients {
  const answers: Answered[] = [];
  const losses: Lost[] = [];
  let stopped = false;
  const goesOn = (): boolean => !stopped;
  const run = async (): Promise<void> => {
    let connection: RawConnection | null = null;
    let worker: number | null = null;
    let seen = 0;
    while (goesOn()) {
      const startedAt = performance.now();
      try {
        if (connection === null) {
          connection = await connectRaw(port);
          [worker, seen] = [null, 0];
        }
        connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        const text = await connection.until((all) => all.indexOf("\r\n\r\nok", seen) !== -1);
        const head = text.slice(seen);
        seen = text.length;
        worker = Number(/x-worker: (\d+)/i.exec(head)?.[1]);
        const atMs = performance.now();
        const status = Number(head.split(" ", 2)[1]);
        answers.push({ atMs, tookMs: atMs - startedAt, status, worker });
        if (/^connection: close\r$/im.test(head)) {
          connection.end();
          connection = null;
        }
      } catch {
        losses.push({ atMs: performance.now(), worker });
        connection = null;
      }
      await Bun.sleep(Math.max(0, everyMs - (performance.now() - startedAt)));
    }
    connection?.end();
  };
  const running = Promise.all(Array.from({ length: count }, run));
  return {
    answers,
    losses,
    async stop() {
      stopped = true;
      await running;
    },
  };
}
