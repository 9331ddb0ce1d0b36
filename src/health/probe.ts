import { connect, type Socket } from "node:net";
import { authorityOf } from "../config/address.ts";
import type { BackendConfig, HealthConfig, SocketAddress } from "../config/config.ts";
import { ResponseParser } from "../transport/response-parser.ts";

export interface ProbeResult {
  readonly good: boolean;
  /** For the log: `status 200`, `ECONNREFUSED`, `no whole answer within 2000 ms`. */
  readonly reason: string;
}

/** Asks one backend once. Never rejects; ends within the timeout, or at once when `signal` fires. */
export type Probe = (backend: BackendConfig, signal: AbortSignal) => Promise<ProbeResult>;

/** A probe's answer may be this long, head and body; a longer one is a failure. */
export const MAX_PROBE_BYTES = 1024 * 1024;

/**
 * A TCP connect, or an HTTP request when the config has a path. The whole answer has to arrive in
 * time: a backend that hangs in the middle of it would do so to clients as well. Redirects are
 * answers like others and are not followed.
 *
 * Over node:net and not the transport: probes must not share connections with traffic, and unlike
 * Bun.connect its connects can be called off. A backend that drops our SYNs is probed for hours,
 * and each abandoned connect would hold a descriptor for two minutes.
 */
export function createProbe(config: HealthConfig): Probe {
  return (backend, signal) => {
    const { promise, resolve } = Promise.withResolvers<ProbeResult>();
    let socket: Socket | null = null;
    const finish = (good: boolean, reason: string) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      socket?.destroy();
      resolve({ good, reason });
    };
    const abort = () => finish(false, "stopped");
    const timer = setTimeout(
      () =>
        finish(
          false,
          `no ${config.path === null ? "connection" : "whole answer"} within ${config.timeoutMs} ms`,
        ),
      config.timeoutMs,
    );
    if (signal.aborted) {
      abort();
      return promise;
    }
    signal.addEventListener("abort", abort);
    try {
      socket = dial(probeAddress(backend.address, config.port));
      ask(socket, config, backend, finish);
    } catch (error) {
      finish(false, error instanceof Error ? error.message : String(error));
    }
    return promise;
  };
}

type Finish = (good: boolean, reason: string) => void;

function ask(socket: Socket, config: HealthConfig, backend: BackendConfig, finish: Finish): void {
  socket.on("error", (error: NodeJS.ErrnoException) => finish(false, error.code ?? error.message));
  const { path } = config;
  if (path === null) {
    socket.on("connect", () => finish(true, "connected"));
    return;
  }
  const answer = new Answer(config, finish);
  socket.on("connect", () => socket.write(probeRequest(config, path, backend.address), "latin1"));
  socket.on("data", (bytes: Buffer) => answer.push(bytes));
  socket.on("end", () => answer.end());
  socket.on("close", () => finish(false, "closed without a whole answer"));
}

/** Judges an answer as it arrives, holding its body only when there is text to look for. */
class Answer {
  readonly #config: HealthConfig;
  readonly #finish: Finish;
  readonly #parser: ResponseParser;
  readonly #body: Buffer[] = [];
  #bytes = 0;

  constructor(config: HealthConfig, finish: Finish) {
    this.#config = config;
    this.#finish = finish;
    this.#parser = new ResponseParser(config.method, {
      onHead: () => {},
      onBody: (piece) => {
        if (config.body !== null) this.#body.push(piece);
      },
    });
  }

  push(bytes: Buffer): void {
    this.#bytes += bytes.length;
    if (this.#bytes > MAX_PROBE_BYTES) {
      this.#finish(false, `an answer of more than ${MAX_PROBE_BYTES} bytes`);
      return;
    }
    try {
      this.#parser.push(bytes);
    } catch (error) {
      this.#finish(
        false,
        `no proper answer: ${error instanceof Error ? error.message : String(error)}`,
      );
      return;
    }
    this.#judge();
  }

  end(): void {
    if (this.#parser.end()) this.#judge();
    else this.#finish(false, "closed without a whole answer");
  }

  #judge(): void {
    const { status: ranges, body } = this.#config;
    const status = this.#parser.head?.status;
    if (status === undefined) return;
    if (!ranges.some(([from, to]) => status >= from && status <= to)) {
      this.#finish(false, `status ${status}`);
    } else if (!this.#parser.complete) {
      return;
    } else if (body !== null && !Buffer.concat(this.#body).includes(body)) {
      this.#finish(false, `status ${status} without ${JSON.stringify(body)} in its body`);
    } else {
      this.#finish(true, `status ${status}`);
    }
  }
}

function dial(address: SocketAddress): Socket {
  return "unix" in address
    ? connect({ path: address.unix })
    : connect({ host: address.hostname, port: address.port, noDelay: true });
}

/** A unix socket has no ports: it is probed itself. */
function probeAddress(address: SocketAddress, port: number | null): SocketAddress {
  return "unix" in address || port === null ? address : { hostname: address.hostname, port };
}

/** Fields of the config take the place of ours, except Connection: the probe needs the end of the answer. */
function probeRequest(config: HealthConfig, path: string, address: SocketAddress): string {
  const fields = new Map<string, string>([
    ["host", config.host ?? authorityOf(address)],
    ["user-agent", "leastwise-probe"],
    ["accept", "*/*"],
  ]);
  for (const [name, value] of Object.entries(config.headers)) fields.set(name.toLowerCase(), value);
  fields.set("connection", "close");
  const lines = [...fields].map(([name, value]) => `${name}: ${value}\r\n`);
  return `${config.method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
}
