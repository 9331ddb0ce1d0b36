/** What the proxy would tell a RequestObserver, made up. */
import type { Backend } from "../../src/plugin.ts";
import type { AttemptFacts, RequestFacts } from "../../src/proxy/observer.ts";

export interface RequestSketch {
  readonly method?: string;
  readonly target?: string;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly peerAddress?: string;
}

export function requestFacts(sketch: RequestSketch = {}): RequestFacts {
  const host = sketch.host ?? "shop.example:8080";
  const peerAddress = sketch.peerAddress ?? "127.0.0.1";
  return {
    host,
    clientAddress: peerAddress,
    request: {
      method: sketch.method ?? "GET",
      scheme: "http",
      target: sketch.target ?? "/cart",
      port: 8080,
      headers: new Headers({ host, ...sketch.headers }),
      peerAddress,
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
    pool: "web",
    backend: backend("a"),
    strategy: { name: "least-connections", version: "1a2b3c" },
    candidates: 3,
    inFlight: 7,
    fallback: false,
    target: "/cart",
    host: "shop.example:8080",
    ...facts,
  };
}
