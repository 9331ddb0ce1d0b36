import type { Endpoint } from "../transport/endpoint.ts";
import type { Handler } from "./front.ts";
import { endsConnection, type ExchangeConnection, type FrontExchange } from "./front-exchange.ts";
import { asksToClose } from "./headers.ts";
import type { NativeSocket } from "./native-hook.ts";
import type { Pressure } from "./pressure.ts";
import type { StallWatch, Watch } from "./stall-watch.ts";

export interface ClientConnectionOwner {
  readonly port: number | null;
  readonly stalls: StallWatch;
  /** Every answer says `Connection: close`. */
  readonly closing: boolean;
  readonly pressure: Pressure;
  /** Resolves with the newest one. */
  handler(): Handler | Promise<Handler>;
}

/** An idle connection is closed after this time (nginx: 75 s). */
const KEEP_ALIVE_MS = 75_000;
/** How long we take, and drop, the rest of a request that was answered before its end (RFC 9112, 9.6). */
const LINGER_MS = 5000;
/** For what is too many to be closed, before a request on a new connection is refused. */
const ROOM_WAIT_MS = 100;
/** So many requests may wait for their turn; what is sent beyond them is not looked at. */
const MAX_WAITING = 64;

/** A client's connection: its requests are handled one at a time, in their order (RFC 9112, 9.3.2). */
export class ClientConnection implements ExchangeConnection {
  refused: boolean;
  readonly #socket: NativeSocket<ClientConnection>;
  readonly #owner: ClientConnectionOwner;
  readonly #waiting: FrontExchange[] = [];
  #current: FrontExchange | null = null;
  /** Answered for good, and not yet received. */
  #lingering: FrontExchange | null = null;
  #endpoint: Endpoint | null | undefined;
  #requests = 0;
  /** When `closeIfUnused` was called last. */
  #requestsBefore = 0;
  #paused = false;
  /** Nothing is read any more behind the last one that waits. */
  #full = false;
  /** That one, while its body may still be on the way. */
  #stopAfter: FrontExchange | null = null;
  /** While no request is under way. */
  #idle: Watch | null = null;

  constructor(socket: NativeSocket<ClientConnection>, owner: ClientConnectionOwner) {
    this.#socket = socket;
    this.#owner = owner;
    owner.pressure.opened();
    this.refused = owner.pressure.refusing;
  }

  /** The client; null over a unix socket. */
  get endpoint(): Endpoint | null {
    if (this.#endpoint === undefined) this.#endpoint = this.#socket.remoteAddress;
    return this.#endpoint;
  }

  get port(): number | null {
    return this.#owner.port;
  }

  get peerAddress(): string {
    return this.endpoint?.address ?? "";
  }

  get underWay(): boolean {
    return this.#current !== null;
  }

  /** Resolves when the request has been answered. Undefined: it waits for its turn. */
  take(exchange: FrontExchange): Promise<void> | undefined {
    this.#idle?.stop();
    this.#requests++;
    if (this.#current === null && !exchange.pipelined) return this.#run(exchange);
    this.#waiting.push(exchange);
    if (this.#waiting.length === MAX_WAITING) {
      this.#full = true;
      this.#stopAfter = exchange;
    }
    if (this.#current === null) this.#next();
    this.regulate();
    return undefined;
  }

  regulate(): void {
    if (this.#lingering?.received) {
      this.#lingering = null;
      this.#close();
      return;
    }
    if (this.#stopAfter?.received) {
      this.#stopAfter = null;
      this.#socket.stopParsing();
    }
    const current = this.#current;
    if (current === null) return;
    // Only for a body that nobody takes: while reading is paused the end of the connection is not noticed.
    const pause = current.held || this.#waiting.some(({ held }) => held);
    if (pause === this.#paused) return;
    this.#paused = pause;
    if (pause) current.response.pause();
    else current.response.resume();
  }

  reset(): void {
    this.#socket.reset();
    this.end();
  }

  closeIfIdle(): void {
    if (this.#current === null) this.#socket.close();
  }

  /** When there was no request since the last call: one that comes often has its next on the way. */
  closeIfUnused(): void {
    if (this.#requests === this.#requestsBefore) this.closeIfIdle();
    this.#requestsBefore = this.#requests;
  }

  /** It has ended, whoever ended it. */
  end(): void {
    this.#idle?.stop();
    this.#current?.end();
    for (const exchange of this.#waiting.splice(0)) exchange.end();
  }

  async #run(exchange: FrontExchange): Promise<void> {
    this.#current = exchange;
    const { stalls } = this.#owner;
    const handler = this.#owner.handler();
    try {
      if (exchange.doubtful) await new Promise((resolve) => setImmediate(resolve));
      if (this.refused && !this.#owner.pressure.full) await this.#waitForRoom();
      const answer = await (handler instanceof Promise
        ? handler.then((first) => first(exchange))
        : handler(exchange));
      const close = this.#closesAfter(exchange) || endsConnection(answer);
      const intact = await exchange.send(answer, close, stalls);
      this.#current = null;
      if (intact) this.#finished(exchange, close || this.#owner.closing);
    } catch {
      // The runtime does not take the answer.
      this.reset();
      this.#current = null;
    }
  }

  /** Where one client has too many connections, those are being closed now. */
  async #waitForRoom(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ROOM_WAIT_MS));
    this.refused = this.#owner.pressure.refusing;
  }

  #closesAfter(exchange: FrontExchange): boolean {
    if (this.#owner.closing || exchange.version === "1.0" || asksToClose(exchange.headers))
      return true;
    // Nobody could tell the body, if it comes, from the next request.
    if (exchange.expecting && !exchange.received) return true;
    return this.#full && this.#waiting.length === 0;
  }

  #finished(exchange: FrontExchange, close: boolean): void {
    exchange.body?.cancel();
    if (close && exchange.received) {
      this.#close();
      return;
    }
    if (this.#waiting.length > 0 && !close) {
      this.#next();
      return;
    }
    if (this.#paused) {
      this.#paused = false;
      exchange.response.resume();
    }
    if (close) this.#lingering = exchange;
    const received = (): number => exchange.body?.bytes ?? 0;
    const over = (): void => this.#socket.close();
    this.#idle = close
      ? this.#owner.stalls.watch(LINGER_MS, over)
      : this.#owner.stalls.watch(KEEP_ALIVE_MS, over, received);
  }

  #close(): void {
    // Or the runtime would answer what comes behind the last request.
    this.#socket.stopParsing();
    this.#socket.closeWhenDrained();
  }

  #next(): void {
    const exchange = this.#waiting.shift();
    if (exchange === undefined) return;
    const { response, version, pipelined } = exchange;
    const ancient = version === "1.0";
    if (pipelined && !this.#socket.startPipelinedResponse(response, ancient, false)) {
      this.reset();
      return;
    }
    void this.#run(exchange);
    this.regulate();
  }
}
