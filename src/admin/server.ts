/** The admin API: JSON over HTTP, for operators and the command line. Answers from facts handed in. */
import type { AdminConfig } from "../config/config.ts";
import type { Health } from "../plugin.ts";
import { refuse } from "./guard.ts";

export interface BackendStatus {
  readonly id: string;
  readonly url: string;
  readonly weight: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly health: Health;
  /** ISO 8601; null when not ejected. */
  readonly ejectedUntil: string | null;
  readonly draining: boolean;
  readonly inFlight: number;
  /** Attempts started. */
  readonly requests: number;
  /** Attempts that count for ejection. */
  readonly failures: number;
  readonly connections: { readonly open: number; readonly idle: number };
}

export interface PoolStatus {
  readonly name: string;
  readonly queued: number;
  readonly strategy: {
    readonly name: string;
    /** `built-in`, or the strategy's file. */
    readonly source: string;
    readonly version: string;
    /** In at least one worker. */
    readonly quarantined: boolean;
    /** Over all workers, since each started. */
    readonly faults: number;
  };
  readonly backends: readonly BackendStatus[];
}

export interface WorkerStatus {
  readonly id: number;
  readonly pid: number;
  readonly startedAt: string;
  readonly restarts: number;
  /** Null when the worker did not answer in time. */
  readonly pendingRequests: number | null;
  /** Open connections of clients over TCP. Null also where the platform does not tell. */
  readonly clientConnections: number | null;
}

/** What the API tells; the master knows it. */
export interface AdminFacts {
  /** Serving, and some pool has a backend that is neither probe-down nor draining. */
  ready(): boolean;
  pools(): Promise<PoolStatus[]>;
  workers(): Promise<WorkerStatus[]>;
  /** In the format that the Accept field likes best; null: the request has none. */
  metrics(accept: string | null): Promise<{ readonly contentType: string; readonly body: string }>;
}

type Route = (facts: AdminFacts, request: Request) => Promise<Response> | Response;

const ROUTES: Readonly<Record<string, Route>> = {
  "/-/healthy": () => text(200, "ok"),
  "/-/ready": (facts) => (facts.ready() ? text(200, "ready") : text(503, "not ready")),
  "/metrics": async (facts, request) => {
    const { contentType, body } = await facts.metrics(request.headers.get("accept"));
    return new Response(body, {
      headers: { "content-type": contentType, "cache-control": "no-store", vary: "accept" },
    });
  },
  "/api/v1/pools": async (facts) => Response.json(await facts.pools()),
  "/api/v1/workers": async (facts) => Response.json(await facts.workers()),
};

/** Throws what Bun.serve throws when the address cannot be bound. */
export function serveAdmin(config: AdminConfig, facts: AdminFacts): { stop(): void } {
  const { address } = config;
  const handler = {
    development: false,
    async fetch(request: Request): Promise<Response> {
      const refusal = refuse(request, config);
      if (refusal !== null) return refusal;
      const { pathname } = new URL(request.url);
      const route = Object.hasOwn(ROUTES, pathname) ? ROUTES[pathname] : undefined;
      if (route === undefined) {
        return problem(404, `no such path; there are ${Object.keys(ROUTES).join(", ")}`);
      }
      if (request.method !== "GET" && request.method !== "HEAD") {
        return problem(405, `${request.method} is not allowed here; GET is`);
      }
      return route(facts, request);
    },
    error: () => problem(500, "the admin API failed"),
  };
  const server = Bun.serve(
    "unix" in address
      ? { ...handler, unix: address.unix }
      : { ...handler, hostname: address.hostname, port: address.port, reusePort: false },
  );
  return {
    stop() {
      void server.stop(true);
    },
  };
}

function text(status: number, body: string): Response {
  return new Response(`${body}\n`, { status, headers: { "cache-control": "no-store" } });
}

function problem(status: number, message: string): Response {
  return Response.json({ error: { message } }, { status });
}
