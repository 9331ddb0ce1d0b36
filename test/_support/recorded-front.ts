/**
 * Hostile clients at one proxy with one backend, which records what reaches it and refuses what a strict
 * server would refuse. After every case another client asks for a path of its own, over the connection
 * to the backend that the case may have left out of step, and has to get the answer to that.
 */
import { afterAll, beforeAll, expect } from "bun:test";
import type { UserConfig } from "../../src/index.ts";
import { BUILD_TIMEOUT_MS } from "./binary.ts";
import {
  type FakeBackend,
  type FakeBackendOptions,
  type FakeRequest,
  startFakeBackend,
} from "./fake-backend.ts";
import { type Proxy, startProxy } from "./proxy.ts";
import { connectRaw, exchangeRaw, type RawConnection } from "./raw-client.ts";

export interface Outcome {
  /** All that came back, latin-1. */
  readonly received: string;
  readonly statuses: readonly number[];
  /** Requests whose head reached the backend, without those of the clients that came afterwards. */
  readonly requests: readonly FakeRequest[];
}

export interface RecordedFront {
  readonly backend: FakeBackend;
  readonly proxy: Proxy;
  /** One connection, one write, until the proxy has ended it. Fails if it does not. */
  ended(bytes: string): Promise<Outcome>;
  /** The same, and it was refused with this status, only once, and no backend saw a whole request. */
  refused(bytes: string, ...statuses: number[]): Promise<Outcome>;
  /** One connection that stays open, until that many answers are there. The requests arrived whole. */
  answered(bytes: string | readonly string[], answers?: number): Promise<Outcome>;
  /** For cases that these do not fit: runs it, then what every case is followed by. */
  play(run: () => Promise<string>): Promise<Outcome>;
  connect(): Promise<RawConnection>;
  /** Another client's request: everything that was sent before has been read once it is answered. */
  canary(): Promise<FakeRequest>;
}

/** Longer than anything here takes: what it cuts off would never have come. */
const PATIENCE_MS = 15_000;

/** For a file or a group of tests, which share one proxy. The backend answers with method and target. */
export function useRecordedFront(
  pool: Partial<UserConfig["pools"][string]> = {},
  backendOptions: FakeBackendOptions = {},
): RecordedFront {
  const handler = ({ method, target }: FakeRequest): string => `${method} ${target}`;
  const backend = startFakeBackend({ handler, ...backendOptions });
  let proxy: Proxy | null = null;
  let canaries = 0;

  beforeAll(async () => {
    proxy = await startProxy({
      config: {
        pools: {
          web: { health: false, connections: { maxIdle: 1 }, ...pool, backends: [backend.url] },
        },
        workers: 1,
      },
    });
  }, BUILD_TIMEOUT_MS);

  afterAll(async () => {
    expect(await proxy?.stop()).toBe(0);
    expect(backend.refused).toEqual([]);
    backend.stop();
  });

  const port = (): number => {
    if (proxy === null) throw new Error("the proxy has not started");
    return proxy.port;
  };

  async function canary(): Promise<FakeRequest> {
    const target = `/canary/${++canaries}-${crypto.randomUUID()}`;
    const received = await exchangeRaw(
      port(),
      `GET ${target} HTTP/1.1\r\nHost: canary.example\r\nConnection: close\r\n\r\n`,
    );
    expect(bodyOf(received)).toBe(`GET ${target}`);
    const found = backend.requests.filter((request) => request.target === target);
    expect(found).toHaveLength(1);
    return found[0] as FakeRequest;
  }

  async function play(run: () => Promise<string>): Promise<Outcome> {
    const before = backend.requests.length;
    const received = await run();
    await canary();
    const requests = backend.requests.slice(before).filter((each) => !isCanary(each));
    for (const request of requests) expectCleanHead(request);
    return { received, statuses: statusesIn(received), requests };
  }

  function ended(bytes: string): Promise<Outcome> {
    return play(async () => {
      const connection = await connectRaw(port());
      connection.send(bytes);
      await within(connection.closed, () => `open after ${JSON.stringify(connection.received())}`);
      return connection.received();
    });
  }

  return {
    backend,
    get proxy() {
      return proxy as Proxy;
    },
    ended,
    async refused(bytes, ...statuses) {
      const outcome = await ended(bytes);
      expect(outcome.statuses).toHaveLength(1);
      expect(statuses).toContain(outcome.statuses[0] as number);
      expect(outcome.requests.filter(({ complete }) => complete)).toEqual([]);
      return outcome;
    },
    answered: (bytes, answers = 1) =>
      play(async () => {
        const before = backend.requests.length;
        const connection = await connectRaw(port());
        const is = (count: number) => (text: string) => statusesIn(text).length >= count;
        let sent = 0;
        for (const piece of typeof bytes === "string" ? [bytes] : bytes) {
          if (sent++ > 0) await canary();
          connection.send(piece);
        }
        await within(
          connection.until((text) => is(answers)(text) && isWhole(text)),
          () => `no ${answers} answers in ${JSON.stringify(connection.received())}`,
        );
        const after = await canary();
        const own = backend.requests.slice(before).filter((each) => !isCanary(each));
        expect(own.filter(({ complete }) => !complete)).toEqual([]);
        // The backend's connection was left in step, and used again.
        const last = own.at(-1);
        if (last !== undefined) expect(after.connection).toBe(last.connection);
        expect(statusesIn(connection.received())).toHaveLength(answers);
        connection.reset();
        return connection.received();
      }),
    play,
    connect: () => connectRaw(port()),
    canary,
  };
}

export function statusesIn(received: string): number[] {
  return [...received.matchAll(/HTTP\/1\.[01] (\d{3}) /g)].map(([, code]) => Number(code));
}

export function bodyOf(received: string): string {
  return received.slice(received.lastIndexOf("\r\n\r\n") + 4);
}

/** Rejects, with what was the matter, when it takes longer than anything here may. */
export async function within<T>(promise: Promise<T>, matter: () => string): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(matter())), PATIENCE_MS);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The last answer has all of its body: the length that it says. */
function isWhole(received: string): boolean {
  const head = received.slice(received.lastIndexOf("HTTP/1.1 "));
  const end = head.indexOf("\r\n\r\n");
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? "0";
  return end !== -1 && head.length >= end + 4 + Number(length);
}

function isCanary({ target }: FakeRequest): boolean {
  return target.startsWith("/canary/");
}

/** Beyond what the recording backend checks of every line: one Host, one framing at most. */
function expectCleanHead(request: FakeRequest): void {
  expect(request.all("host")).toHaveLength(1);
  const framing = [...request.all("content-length"), ...request.all("transfer-encoding")];
  expect(framing.length).toBeLessThanOrEqual(1);
  expect(request.rawHead.toString("latin1").replaceAll("\r\n", "")).not.toMatch(
    /[^\t\x20-\x7e\x80-\xff]/,
  );
}
