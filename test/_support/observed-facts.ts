/** What the proxy would tell a RequestObserver, made up. */
import type { Backend } from "../../src/plugin.ts";
import type { AttemptFacts, RequestEnd, RequestFacts } from "../../src/proxy/observer.ts";
import { RequestFields } from "../../src/proxy/request-fields.ts";

export interface RequestSketch {
  readonly method?: string;
  readonly target?: string;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly peerAddress?: string;
  readonly trustedPeer?: boolean;
  readonly startedAt?: number;
}

export function requestFacts(sketch: RequestSketch = {}): RequestFacts {
  const host = sketch.host ?? "shop.example:8080";
  const peerAddress = sketch.peerAddress ?? "127.0.0.1";
  return {
    host,
    clientAddress: peerAddress,
    requestId: "r-1",
    trustedPeer: sketch.trustedPeer ?? false,
    startedAt: sketch.startedAt ?? 1000,
    request: {
      method: sketch.method ?? "GET",
      scheme: "http",
      version: "1.1",
      target: sketch.target ?? "/cart",
      port: 8080,
      authority: null,
      headers: new RequestFields(Object.entries({ host, ...sketch.headers }).flat()),
      peerAddress,
      refused: false,
      body: null,
      onGone() {},
    },
  };
}

export function backend(id: string, url = `http://10.0.0.1:3000`): Backend {
  return { id, url, weight: 1, labels: {}, health: "healthy", draining: false, inFlight: 0 };
}

export function attemptFacts(facts: Partial<AttemptFacts> = {}): AttemptFacts {
  return {
    number: 1,
    retryReason: null,
    pool: "web",
    backend: backend("a"),
    strategy: { name: "least-connections", version: "1a2b3c" },
    candidates: 3,
    inFlight: 7,
    fallback: false,
    affinity: false,
    pickMs: 0.25,
    decision: null,
    target: "/cart",
    host: "shop.example:8080",
    ...facts,
  };
}

/** Answered 200 by the backend unless told otherwise. */
export function requestEnd(end: Partial<RequestEnd> = {}): RequestEnd {
  return {
    status: 200,
    error: null,
    endedBy: "backend",
    phase: "done",
    requestBytes: 0,
    responseBytes: 5,
    firstByteMs: 3,
    ...end,
  };
}
