/** Clients that send nothing twice and count everything that went wrong. */
import { type ClientConnection, openConnection } from "../../src/cli/demo/client-connection.ts";

export interface StrictLoadOptions {
  readonly port: number;
  readonly clients: number;
  /** The whole request, head and body. */
  readonly request: string;
  /** False: a new connection for each request. */
  readonly keepAlive: boolean;
}

export interface StrictResult {
  readonly requests: number;
  /** By cause: what kind of error, or the status of an answer that is no 200. */
  readonly failures: Readonly<Record<string, number>>;
  /** Answers that said `Connection: close`. */
  readonly closed: number;
}

export interface StrictLoad {
  /** Resolves when so many requests more have ended. */
  more(requests: number): Promise<void>;
  stop(): Promise<StrictResult>;
}

/** Each client sends its next request when the answer to the last one is there. */
export function startStrictLoad(options: StrictLoadOptions): StrictLoad {
  const { port, clients, keepAlive } = options;
  const target = { hostname: "127.0.0.1", port, request: Buffer.from(options.request, "latin1") };
  const failures: Record<string, number> = {};
  let requests = 0;
  let closed = 0;
  const over = new AbortController();
  let waiting: { at: number; resolve: () => void }[] = [];

  const count = (failure: string | null): void => {
    requests++;
    if (failure !== null) failures[failure] = (failures[failure] ?? 0) + 1;
    waiting = waiting.filter(({ at, resolve }) => {
      if (requests >= at) resolve();
      return requests < at;
    });
  };

  const client = async (): Promise<void> => {
    let kept: ClientConnection | null = null;
    while (!over.signal.aborted) {
      const connection: ClientConnection =
        kept ??
        openConnection(target, () => {
          kept = null;
        });
      kept = connection;
      const exchange = await new Promise<Parameters<Parameters<typeof connection.send>[0]>[0]>(
        (resolve) => connection.send(resolve),
      );
      if ("failure" in exchange) {
        count(exchange.stale ? "closed before the answer to the next request" : exchange.failure);
        kept = null;
        continue;
      }
      const { status, reusable } = exchange.response;
      count(status === 200 ? null : String(status));
      if (!reusable) closed++;
      if (!reusable || !keepAlive) {
        connection.close();
        kept = null;
      }
    }
    kept?.close();
  };
  const running = Promise.all(Array.from({ length: clients }, client));
  return {
    more: (count) => new Promise((resolve) => waiting.push({ at: requests + count, resolve })),
    async stop() {
      over.abort();
      await running;
      return { requests, failures, closed };
    },
  };
}
