/** A backend that lies to one client, with another one watching that it only costs the first. */
import { afterAll, beforeAll, expect } from "bun:test";
import { BUILD_TIMEOUT_MS } from "./binary.ts";
import {
  type FakeBackend,
  type FakeRequest,
  type FakeWire,
  startFakeBackend,
} from "./fake-backend.ts";
import { type ParsedResponse, parseResponse } from "./parsed-response.ts";
import { type Proxy, startProxy } from "./proxy.ts";
import { connectRaw, type RawConnection } from "./raw-client.ts";

/** What no lie may bring to a client. */
const FORBIDDEN = "EVIL";

/** A whole response, so that it would pass for an answer. */
export const EVIL = `HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n${FORBIDDEN}`;

export interface Ask {
  /** Default GET. */
  readonly method?: string;
  readonly target?: string;
  /** Whole lines, CRLF included. */
  readonly fields?: string;
}

export interface Lie extends Ask {
  /** Byte by byte what the backend sends, a piece per write; or who writes it. */
  readonly raw: readonly string[] | ((wire: FakeWire) => Promise<void>);
  /** Written once the client has its answer. */
  readonly late?: string;
  readonly afterwards?: "fin" | "reset";
  /** It was in order after all: the proxy may use the connection again. Default false. */
  readonly inOrder?: boolean;
}

/**
 * For a file of tests: the compiled binary with one worker, before one backend that lies. `/impatient` waits 200 ms
 * for the first byte of an answer.
 */
export function useLyingBackend(): LyingBackend {
  const liar = new LyingBackend();
  beforeAll(() => liar.start(), BUILD_TIMEOUT_MS);
  afterAll(() => liar.stop());
  return liar;
}

export class LyingBackend {
  readonly backend: FakeBackend = startFakeBackend();
  #proxy: Proxy | null = null;

  get proxy(): Proxy {
    if (this.#proxy === null) throw new Error("the proxy has not been started");
    return this.#proxy;
  }

  async start(): Promise<void> {
    const pool = { backends: [this.backend.url], health: false, ejection: false } as const;
    this.#proxy = await startProxy({
      config: {
        workers: 1,
        pools: { web: pool, impatient: { ...pool, timeouts: { firstByte: "200ms" } } },
        routes: [{ path: "/impatient", pool: "impatient" }, { pool: "web" }],
      },
    });
  }

  async stop(): Promise<void> {
    const { proxy } = this;
    expect(await proxy.stop()).toBe(0);
    expect(proxy.log()).not.toContain("internal_error");
    expect(this.backend.refused).toEqual([]);
    this.backend.stop();
  }

  /**
   * What the client gets that is lied to. Another client's next request and its own must be answered rightly, and the
   * connection that carried the lie must be closed and not be used for either.
   */
  async lie(how: Lie): Promise<ParsedResponse> {
    const delivered = Promise.withResolvers<void>();
    const told = Promise.withResolvers<FakeWire>();
    let times = 0;
    this.backend.handler = async (request, wire) => {
      if (request.target.startsWith("/canary/")) return request.target;
      times++;
      await write(wire, how.raw);
      if (how.late !== undefined) {
        await delivered.promise;
        await wire.write(how.late);
      }
      if (how.afterwards !== undefined) wire[how.afterwards]();
      told.resolve(wire);
      return undefined;
    };
    const victim = await Client.connect(this.proxy.port);
    const answer = await victim.ask(how);
    delivered.resolve();
    const wire = await told.promise;

    const other = await Client.connect(this.proxy.port);
    const seen = [await this.canary(other)];
    // A broken answer has ended the client's connection; any other leaves it in step.
    if (answer.complete) seen.push(await this.canary(victim));
    for (const client of [victim, other]) {
      expect(client.received).not.toContain(FORBIDDEN);
      client.end();
    }
    expect(answer.overrun).toBe(false);
    expect(times).toBe(1);
    if (how.inOrder !== true) {
      const end = await wire.closed;
      if (how.afterwards !== "reset") expect(end).not.toBe("us");
      for (const { connection } of seen) expect(connection).not.toBe(wire.index);
    }
    return answer;
  }

  /** The client gets a 502 of ours, whether the lie comes at once or in pieces. */
  async expectRefusal(sent: string): Promise<void> {
    const half = Math.floor(sent.length / 2);
    for (const raw of [[sent], [sent.slice(0, half), sent.slice(half)]]) {
      const answer = await this.lie({ raw });
      expect(answer).toMatchObject({ complete: true, head: { status: 502 } });
      expect(JSON.parse(answer.body)).toMatchObject({ error: { code: "bad_response" } });
      expect(valuesOf(answer, "proxy-status")).toEqual(["leastwise; error=http_protocol_error"]);
    }
  }

  /** Asks for something to which only one answer is right. */
  async canary(client: Client): Promise<FakeRequest> {
    const target = `/canary/${crypto.randomUUID()}`;
    const answer = await client.ask({ target });
    expect(answer).toMatchObject({ complete: true, overrun: false, refused: null, body: target });
    const asked = this.backend.requests.filter((each) => each.target === target);
    expect(asked).toHaveLength(1);
    return asked[0] as FakeRequest;
  }
}

/** All values of a field, in order. */
export function valuesOf(answer: ParsedResponse, wanted: string): string[] {
  const all = answer.head?.headers ?? [];
  return all.filter(([name]) => name.toLowerCase() === wanted).map(([, value]) => value);
}

async function write(wire: FakeWire, raw: Lie["raw"]): Promise<void> {
  if (typeof raw === "function") return raw(wire);
  for (const piece of raw) await wire.write(piece);
}

/** One client's connection, which keeps count of what it has already read. */
export class Client {
  readonly #connection: RawConnection;
  #at = 0;

  constructor(connection: RawConnection) {
    this.#connection = connection;
  }

  static async connect(port: number): Promise<Client> {
    return new Client(await connectRaw(port));
  }

  get received(): string {
    return this.#connection.received();
  }

  /** The answer, or what there was of it when the connection ended. */
  async ask({ method = "GET", target = "/lie", fields = "" }: Ask): Promise<ParsedResponse> {
    this.#connection.send(`${method} ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`);
    const parse = (text: string) => {
      return parseResponse([text.slice(this.#at)], { method, thenEnd: false });
    };
    const text = await this.#connection
      .until((received) => parse(received).complete)
      .catch(() => this.received);
    const answer = parse(text);
    this.#at = text.length;
    return answer;
  }

  end(): void {
    this.#connection.end();
  }
}
