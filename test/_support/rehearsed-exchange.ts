import type { Attempt, Backend, HeaderReader, Outcome, RequestInfo } from "../../src/plugin.ts";
import { type PoolBackend, rowOf } from "../../src/pool/backend.ts";
import type { Rehearsal } from "../../src/strategy/rehearsal.ts";

type Fields = Readonly<Record<string, string>>;

/** Header fields whose names are given in lower case. */
export function headersOf(fields: Fields = {}): HeaderReader {
  return {
    get: (name) => fields[name.toLowerCase()] ?? null,
    has: (name) => name.toLowerCase() in fields,
  };
}

export function requestWith({
  headers = {},
  ...rest
}: Partial<Omit<RequestInfo, "headers">> & { readonly headers?: Fields } = {}): RequestInfo {
  return {
    method: "GET",
    path: "/",
    query: "",
    host: "www.example.test",
    clientAddress: "192.0.2.1",
    ...rest,
    headers: headersOf(headers),
  };
}

let attempts = 1_000_000;

/** A request is in flight at the backend. */
export function send(rehearsal: Rehearsal, backend: Backend, request = requestWith()): Attempt {
  rehearsal.counters.addInFlight(rowOf(backend as PoolBackend), 0, 1);
  const attempt: Attempt = {
    id: ++attempts,
    backend,
    number: 1,
    request,
    startedAt: rehearsal.nowMs,
  };
  rehearsal.host.onStart(attempt);
  return attempt;
}

export interface RehearsedHead {
  readonly status?: number;
  readonly headers?: Fields;
  readonly upgraded?: boolean;
}

/** The head of the response is there now. */
export function respond(rehearsal: Rehearsal, attempt: Attempt, head: RehearsedHead = {}): void {
  const { status = 200, headers = {}, upgraded = false } = head;
  const firstByteMs = rehearsal.nowMs - attempt.startedAt;
  rehearsal.host.onResponse(attempt, {
    status,
    firstByteMs,
    headers: headersOf(headers),
    upgraded,
  });
}

/** The end; without a status no head came. */
export function finish(
  rehearsal: Rehearsal,
  attempt: Attempt,
  {
    outcome = "ok",
    status = null,
  }: { readonly outcome?: Outcome; readonly status?: number | null },
): void {
  rehearsal.counters.addInFlight(rowOf(attempt.backend as PoolBackend), 0, -1);
  const durationMs = rehearsal.nowMs - attempt.startedAt;
  const firstByteMs = status === null ? null : durationMs;
  rehearsal.host.onEnd(attempt, { outcome, status, firstByteMs, durationMs });
}

/** A whole exchange that takes `ms`. */
export function exchange(
  rehearsal: Rehearsal,
  backend: Backend,
  { ms, ...head }: RehearsedHead & { readonly ms: number },
): void {
  const attempt = send(rehearsal, backend);
  rehearsal.nowMs += ms;
  respond(rehearsal, attempt, head);
  finish(rehearsal, attempt, { status: head.status ?? 200 });
}

/** How often each backend is picked, of so many picks that are not sent. */
export function countPicks(rehearsal: Rehearsal, picks: number, request?: RequestInfo): number[] {
  const counts = new Map<Backend | null, number>();
  for (let index = 0; index < picks; index++) {
    const { backend } = rehearsal.pick(rehearsal.backends, request && { request });
    counts.set(backend, (counts.get(backend) ?? 0) + 1);
  }
  return rehearsal.backends.map((backend) => counts.get(backend) ?? 0);
}
