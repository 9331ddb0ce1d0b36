import { createResponseReader, type DemoResponse } from "./response-reader.ts";

/** Why no answer came. `overflow` is the load generator's own fault: it ran out of descriptors or ports. */
export type ConnectionFailure = "connect" | "reset" | "invalid" | "timeout" | "overflow";

/** One request's answer or the lack of it. */
export type Exchange =
  | { readonly response: DemoResponse }
  /** `stale`: a kept connection was closed before the first byte of an answer, so the request may go out again. */
  | { readonly failure: ConnectionFailure; readonly stale: boolean };

/** A connection of the load generator: one request at a time, kept between them. */
export interface ClientConnection {
  /** Sends the request, now or when the connection is open. `onEnd` is called exactly once. */
  send(onEnd: (exchange: Exchange) => void): void;
  /** Ends the request under way with `failure` and closes the connection. */
  abandon(failure: ConnectionFailure): void;
  close(): void;
}

export interface ClientTarget {
  readonly hostname: string;
  readonly port: number;
  readonly request: Uint8Array;
}

/** Out of file descriptors or local ports: says something about this machine, nothing about the proxy. */
const EXHAUSTED = new Set(["EMFILE", "ENFILE", "EADDRNOTAVAIL"]);

/**
 * A raw client, because `fetch` keeps everything beyond 256 requests waiting inside the process, which
 * would close the loop that has to stay open.
 */
export function openConnection(target: ClientTarget, onClose: () => void): ClientConnection {
  const reader = createResponseReader();
  let socket: Bun.Socket | null = null;
  let current: ((exchange: Exchange) => void) | null = null;
  let used = false;
  let closed = false;

  function end(exchange: Exchange): void {
    const onEnd = current;
    current = null;
    used = true;
    onEnd?.(exchange);
  }

  function fail(failure: ConnectionFailure): void {
    if (closed) return;
    closed = true;
    const stale = failure === "reset" && used && !reader.started;
    socket?.terminate();
    onClose();
    end({ failure, stale });
  }

  function write(): void {
    // A request is far smaller than any socket buffer, so a short write means a dead connection.
    if (socket?.write(target.request) !== target.request.byteLength) fail("reset");
  }

  Bun.connect({
    hostname: target.hostname,
    port: target.port,
    socket: {
      open(opened) {
        if (closed) {
          opened.terminate();
          return;
        }
        socket = opened;
        if (current !== null) write();
      },
      data(_, chunk) {
        if (current === null) {
          fail("invalid");
          return;
        }
        let response: DemoResponse | null;
        try {
          response = reader.push(chunk);
        } catch {
          fail("invalid");
          return;
        }
        if (response === null) return;
        if (!response.reusable) {
          closed = true;
          socket?.end();
          onClose();
        }
        end({ response });
      },
      close() {
        fail("reset");
      },
      error() {
        fail("reset");
      },
    },
  }).catch((error: unknown) => {
    fail(EXHAUSTED.has(codeOf(error)) ? "overflow" : "connect");
  });

  return {
    send(onEnd) {
      current = onEnd;
      if (socket !== null) write();
    },
    abandon: fail,
    close() {
      closed = true;
      socket?.terminate();
    },
  };
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
