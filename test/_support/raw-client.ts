/** A client that sends exactly what it is told and shows exactly what came back. */
import type { Socket } from "bun";

export interface RawConnection {
  send(text: string | Uint8Array): void;
  /** Everything received so far, latin-1. */
  received(): string;
  receivedBytes(): number;
  /** Resolves once `check` is true of what was received; rejects when the connection ends before. */
  until(check: (received: string) => boolean): Promise<string>;
  /** How the other side ended it. */
  readonly closed: Promise<"fin" | "reset">;
  pause(): void;
  resume(): void;
  /** FIN. */
  end(): void;
  /** FIN, and goes on reading. */
  halfClose(): void;
  /** RST. */
  reset(): void;
}

export interface RawOptions {
  /** False: only count what arrives, for large bodies. Default true. */
  readonly keep?: boolean;
  /** Default 127.0.0.1. */
  readonly hostname?: string;
  /** The client's own address; any of 127.0.0.0/8 works on Linux. */
  readonly localAddress?: string;
}

export async function connectRaw(port: number, options: RawOptions = {}): Promise<RawConnection> {
  const closed = Promise.withResolvers<"fin" | "reset">();
  let text = "";
  let bytes = 0;
  let over = false;
  let waiters: { check: (received: string) => boolean; settle: (ended: boolean) => void }[] = [];
  const changed = (): void => {
    waiters = waiters.filter(({ check, settle }) => {
      const holds = check(text);
      if (holds || over) settle(!holds);
      return !holds && !over;
    });
  };
  const end = (how: "fin" | "reset"): void => {
    over = true;
    closed.resolve(how);
    changed();
  };
  const unsent: Uint8Array[] = [];
  const flush = (socket: Socket): void => {
    while (unsent[0] !== undefined) {
      const written = Math.max(0, socket.write(unsent[0]));
      if (written < unsent[0].length) {
        unsent[0] = unsent[0].subarray(written);
        return;
      }
      unsent.shift();
    }
  };
  // Bun takes a local address, its types do not know it.
  const from = options.localAddress === undefined ? {} : { localAddress: options.localAddress };
  const socket = await Bun.connect({
    ...from,
    hostname: options.hostname ?? "127.0.0.1",
    port,
    socket: {
      data(_socket, piece) {
        bytes += piece.length;
        if (options.keep !== false) text += piece.toString("latin1");
        changed();
      },
      drain: flush,
      end: () => end("fin"),
      close: (_socket, error) => end(error === undefined ? "fin" : "reset"),
      error: () => end("reset"),
    },
  });
  return {
    send(data) {
      unsent.push(typeof data === "string" ? Buffer.from(data, "latin1") : data);
      flush(socket);
    },
    received: () => text,
    receivedBytes: () => bytes,
    until: (check) =>
      new Promise((resolve, reject) => {
        waiters.push({
          check,
          settle: (ended) => {
            if (ended) reject(new Error(`the connection ended after ${JSON.stringify(text)}`));
            else resolve(text);
          },
        });
        changed();
      }),
    closed: closed.promise,
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end: () => void socket.end(),
    halfClose: () => void socket.shutdown(),
    reset: () => void socket.terminate(),
  };
}

/** One request on a connection of its own; resolves with everything that came back until the end. */
export async function exchangeRaw(
  port: number,
  request: string,
  options: RawOptions = {},
): Promise<string> {
  const connection = await connectRaw(port, options);
  connection.send(request);
  await connection.closed;
  return connection.received();
}
