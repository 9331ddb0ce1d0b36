import type { HeaderReader, RequestInfo } from "../plugin.ts";
import type { FakeRequestSpec } from "../testing-api.ts";

/** A request that no client sent: `GET /` unless told otherwise. Frozen, as a strategy must not change it. */
export function fakeRequest(spec: FakeRequestSpec = {}): RequestInfo {
  const host = spec.host ?? "www.example.test";
  return Object.freeze({
    method: spec.method ?? "GET",
    path: spec.path ?? "/",
    query: spec.query ?? "",
    host,
    headers: fakeHeaders({ host, ...spec.headers }),
    clientAddress: spec.clientAddress ?? "192.0.2.1",
  });
}

/** The same number gives the same request; over many numbers, everything that keys are made of varies. */
export function numberedRequest(index: number): RequestInfo {
  return fakeRequest({
    method: index % 4 === 3 ? "POST" : "GET",
    path: `/items/${index % 50}`,
    query: index % 2 === 0 ? "" : `page=${index % 7}`,
    headers: { "user-agent": "leastwise-rehearsal", cookie: `session=${index % 20}` },
    clientAddress: `192.0.2.${1 + (index % 200)}`,
  });
}

/** Header fields by case-insensitive name. */
export function fakeHeaders(fields: Readonly<Record<string, string>> = {}): HeaderReader {
  const values = new Map(
    Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value] as const),
  );
  return Object.freeze({
    get: (name: string) => values.get(name.toLowerCase()) ?? null,
    has: (name: string) => values.has(name.toLowerCase()),
  });
}
