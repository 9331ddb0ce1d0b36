import { formatAddress } from "../config/address.ts";
import type { ListenConfig, SocketAddress } from "../config/config.ts";
import type { Logger } from "../log.ts";
import type { Front, Handler } from "../proxy/front.ts";
import { serveFront } from "../proxy/serve-front.ts";
import type { Pressure } from "../proxy/pressure.ts";
import type { StallWatch } from "../proxy/stall-watch.ts";
import type { Endpoint } from "../transport/endpoint.ts";
import type { SocketCalls } from "../transport/socket-calls.ts";
import type { Descriptors } from "./descriptors.ts";
import { bindError, listenPlace, probeAddress, removeStaleSocket } from "./ports.ts";
import { SocketFile, waitingName } from "./socket-file.ts";
import { limitUnsent } from "./unsent-limit.ts";

interface Listener {
  readonly front: Front;
  /** Null: a port. */
  readonly file: SocketFile | null;
}

/** Listeners of a plan that is not in force yet: those that stay, and those opened for it. */
export interface PreparedListeners {
  readonly listeners: ReadonlyMap<string, Listener>;
  readonly opened: readonly Listener[];
}

export interface StopTimes {
  /** For clients to hear of it; then there are no new connections. */
  readonly delayMs: number;
  /** From then on, for what runs. */
  readonly graceMs: number;
}

/**
 * So long every answer says `Connection: close` before connections that have none under way are closed: a client
 * that is about to send its next request would take that for an error (measured at 22,000 requests per second over
 * kept connections: 43 errors in four stops without this time, none with it).
 */
export const NOTICE_MS = 500;

export interface ListenersOptions {
  readonly worker: number;
  /** Another worker has this one's place, and its unix sockets, until the first plan is in force. */
  readonly succeeds: boolean;
  readonly stalls: StallWatch;
  readonly pressure: Pressure;
  /** Null: the platform has none. */
  readonly calls: SocketCalls | null;
  readonly descriptors: Descriptors;
  readonly log: Logger;
}

/**
 * What a worker listens on, which outlives a plan: an address that stays is never closed. Clients
 * that connect to a new one before its plan is in force wait; they are answered, or closed with it.
 */
export class Listeners {
  readonly #options: ListenersOptions;
  #succeeds: boolean;
  #listeners: ReadonlyMap<string, Listener> = new Map();
  /** Without an address any more, finishing what they have. */
  readonly #leaving = new Set<Front>();

  constructor(options: ListenersOptions) {
    this.#options = options;
    this.#succeeds = options.succeeds;
  }

  get pendingRequests(): number {
    return this.#all().reduce((sum, front) => sum + front.pendingRequests, 0);
  }

  /** Whether clients come in at this end of a connection. */
  owns({ address, port }: Endpoint): boolean {
    return this.#all().some(
      (front) => front.port === port && (front.host === null || front.host === address),
    );
  }

  /** Connections on which no request is under way, nor came since the last call. */
  closeUnused(): void {
    for (const front of this.#all()) front.closeUnused();
  }

  /** The clients whose requests are under way. */
  underWay(): Endpoint[] {
    return this.#all().flatMap((front) => [...front.underWay()]);
  }

  /** Throws RuntimeError naming the address that cannot be bound; nothing is left open then. */
  async prepare(listen: readonly ListenConfig[]): Promise<PreparedListeners> {
    const listeners = new Map<string, Listener>();
    const opened: Listener[] = [];
    for (const [index, { address }] of listen.entries()) {
      // A unix socket cannot be shared as a port can: the first worker has it alone.
      if ("unix" in address && this.#options.worker !== 0) continue;
      const key = formatAddress(address);
      let listener = this.#listeners.get(key);
      if (listener === undefined) {
        try {
          listener = await this.#open(address, listenPlace(index));
        } catch (error) {
          for (const { front } of opened) front.kill();
          throw error;
        }
        opened.push(listener);
      }
      listeners.set(key, listener);
    }
    return { listeners, opened };
  }

  abort({ opened }: PreparedListeners): void {
    for (const { front } of opened) front.kill();
  }

  commit({ listeners, opened }: PreparedListeners, handler: Handler): void {
    for (const { front } of listeners.values()) front.setHandler(handler);
    for (const { file } of opened) file?.publish();
    for (const [key, listener] of this.#listeners) {
      if (!listeners.has(key)) void this.#leave(listener);
    }
    this.#listeners = listeners;
    this.#succeeds = false;
  }

  /** `onClosed`: nobody can connect any more. Resolves with how long the notice took beyond the delay. */
  async stop({ delayMs, graceMs }: StopTimes, onClosed: () => void): Promise<number> {
    const fronts = this.#all();
    for (const front of fronts) front.closeConnections();
    const connected = fronts.some(({ connections }) => connections > 0);
    const noticeMs = connected ? Math.max(0, NOTICE_MS - delayMs) : 0;
    await Bun.sleep(delayMs + noticeMs);
    for (const { file } of this.#listeners.values()) file?.remove();
    const stopped = Promise.all(fronts.map(stopFront));
    onClosed();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const grace = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs);
    });
    await Promise.race([stopped, grace]);
    clearTimeout(timer);
    for (const front of fronts) front.kill();
    return noticeMs;
  }

  async #open(address: SocketAddress, place: string): Promise<Listener> {
    const { stalls, pressure } = this.#options;
    if ("unix" in address && !this.#succeeds) await probeAddress(address, place);
    const bound = "unix" in address ? { unix: waitingName(address.unix) } : address;
    try {
      // The worker before this one may have been killed.
      await removeStaleSocket(bound);
      const front = serveFront({ address: bound, stalls, pressure });
      this.#limitUnsent(front);
      return { front, file: "unix" in address ? new SocketFile(address.unix) : null };
    } catch (error) {
      throw bindError(bound, error, place);
    }
  }

  async #leave({ front, file }: Listener): Promise<void> {
    this.#leaving.add(front);
    front.closeConnections();
    file?.remove();
    await Bun.sleep(NOTICE_MS);
    await stopFront(front);
    this.#leaving.delete(front);
  }

  /** Or a slow reader could not be told from one that stopped. */
  #limitUnsent({ port }: Front): void {
    const { calls, descriptors, log } = this.#options;
    if (calls === null || port === null || limitUnsent(calls, descriptors, port)) return;
    log.warn("slow readers may be taken for stopped ones: the listener's socket was not found", {
      port,
    });
  }

  #all(): Front[] {
    return [...[...this.#listeners.values()].map(({ front }) => front), ...this.#leaving];
  }
}

function stopFront(front: Front): Promise<void> {
  front.closeIdle();
  return front.stop();
}
