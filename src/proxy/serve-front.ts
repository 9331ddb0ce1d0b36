/** The front over Bun.serve, by the hook on which Bun builds node:http. */
import { isIP } from "node:net";
import type { SocketAddress } from "../config/config.ts";
import { RuntimeError } from "../errors.ts";
import { ClientConnection, type ClientConnectionOwner } from "./client-connection.ts";
import type { Front, Handler } from "./front.ts";
import { FrontExchange } from "./front-exchange.ts";
import { HAS_TRANSFER_ENCODING, type NativeDispatch } from "./native-hook.ts";
import type { Pressure } from "./pressure.ts";
import type { StallWatch } from "./stall-watch.ts";

export interface ServeFrontOptions {
  readonly address: SocketAddress;
  readonly stalls: StallWatch;
  readonly pressure: Pressure;
}

type Server = Bun.Server<undefined>;

/** Throws what Bun.serve throws (`EADDRINUSE`, `EACCES`), and RuntimeError where it has no such hook. */
export function serveFront({ address, stalls, pressure }: ServeFrontOptions): Front {
  const first = Promise.withResolvers<Handler>();
  let handler: Handler | null = null;
  let closing = false;
  // Asking Bun each time costs a twentieth of a request.
  let port: number | null = null;
  const connections = new Set<ClientConnection>();
  const owner: ClientConnectionOwner = {
    stalls,
    pressure,
    get port() {
      return port;
    },
    get closing() {
      return closing || pressure.shedding;
    },
    handler: () => handler ?? first.promise,
  };

  const dispatch: NativeDispatch<ClientConnection> = (
    _server,
    target,
    method,
    bits,
    response,
    hasBody,
    socket,
    _isNew,
    known,
    ancient,
    _head,
    pipelined,
  ) => {
    let connection = known;
    if (connection === undefined) {
      const opened = new ClientConnection(socket, owner);
      connections.add(opened);
      socket.duplex = opened;
      socket.onclose = () => {
        connections.delete(opened);
        opened.end();
      };
      connection = opened;
    }
    const hasCoding = (bits & HAS_TRANSFER_ENCODING) !== 0;
    const facts = { method, target, hasBody, hasCoding, ancient, pipelined };
    return connection.take(new FrontExchange(response, connection, facts));
  };
  const server = serve(address, dispatch);
  port = server.port ?? null;

  const closeIdle = (): void => {
    server.closeIdleConnections();
    // Bun does not count one that has begun another request.
    for (const connection of connections) connection.closeIfIdle();
  };

  return {
    setHandler(next) {
      handler = next;
      first.resolve(next);
    },
    closeConnections() {
      closing = true;
    },
    closeIdle,
    closeUnused() {
      for (const connection of connections) connection.closeIfUnused();
    },
    get connections() {
      return connections.size;
    },
    stop: () => server.stop(),
    kill() {
      void server.stop(true);
    },
    port,
    host: "unix" in address ? null : onlyAddress(address.hostname),
    *underWay() {
      for (const { underWay, endpoint } of connections) {
        if (underWay && endpoint !== null) yield endpoint;
      }
    },
    get pendingRequests() {
      return server.pendingRequests;
    },
  };
}

/** Connections to a wildcard's or a name's listener may have any local address. */
function onlyAddress(hostname: string): string | null {
  return isIP(hostname) === 0 || hostname === "0.0.0.0" || hostname === "::" ? null : hostname;
}

function serve(address: SocketAddress, dispatch: NativeDispatch<ClientConnection>): Server {
  const options = {
    ...("unix" in address ? address : { ...address, reusePort: true }),
    development: false,
    // Each pool has its own limit, which a reload may change; this one could not follow.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    // An answer may take longer than an idle connection may live: our own timers watch over both.
    idleTimeout: 0,
    onNodeHTTPRequest: dispatch,
  };
  try {
    return Bun.serve(options as unknown as Bun.Serve.Options<undefined>);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new RuntimeError(
      `Bun ${Bun.version} has no onNodeHTTPRequest, with which clients are served: use the version that leastwise was made with`,
      { cause: error },
    );
  }
}
