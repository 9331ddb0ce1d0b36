import { formatAddress } from "../config/address.ts";
import type { ListenConfig } from "../config/config.ts";
import type { Logger } from "../log.ts";
import type { Front, Handler } from "../proxy/front.ts";
import { serveFront } from "../proxy/serve-front.ts";
import type { StallWatch } from "../proxy/stall-watch.ts";
import type { Endpoint } from "../transport/endpoint.ts";
import type { SocketCalls } from "../transport/socket-calls.ts";
import type { Descriptors } from "./descriptors.ts";
import { bindError, listenPlace, removeStaleSocket } from "./ports.ts";
import { limitUnsent } from "./unsent-limit.ts";

/** Listeners of a plan that is not in force yet: those that stay, and those opened for it. */
export interface PreparedListeners {
  readonly fronts: ReadonlyMap<string, Front>;
  readonly opened: readonly Front[];
}

export interface ListenersOptions {
  readonly worker: number;
  readonly stalls: StallWatch;
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
  #fronts: ReadonlyMap<string, Front> = new Map();
  /** Without an address any more, finishing what they have. */
  readonly #leaving = new Set<Front>();

  constructor(options: ListenersOptions) {
    this.#options = options;
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

  /** The clients whose requests are under way. */
  underWay(): Endpoint[] {
    return this.#all().flatMap((front) => [...front.underWay()]);
  }

  /** Throws RuntimeError naming the address that cannot be bound; nothing is left open then. */
  async prepare(listen: readonly ListenConfig[]): Promise<PreparedListeners> {
    const fronts = new Map<string, Front>();
    const opened: Front[] = [];
    for (const [index, { address }] of listen.entries()) {
      // A unix socket cannot be shared as a port can: the first worker has it alone.
      if ("unix" in address && this.#options.worker !== 0) continue;
      const key = formatAddress(address);
      let front = this.#fronts.get(key);
      if (front === undefined) {
        try {
          // The worker before this one may have been killed.
          await removeStaleSocket(address);
          front = serveFront({ address, stalls: this.#options.stalls });
          this.#limitUnsent(front);
        } catch (error) {
          for (const each of opened) each.kill();
          throw bindError(address, error, listenPlace(index));
        }
        opened.push(front);
      }
      fronts.set(key, front);
    }
    return { fronts, opened };
  }

  abort({ opened }: PreparedListeners): void {
    for (const front of opened) front.kill();
  }

  commit({ fronts }: PreparedListeners, handler: Handler): void {
    for (const front of fronts.values()) front.setHandler(handler);
    for (const [key, front] of this.#fronts) {
      if (fronts.has(key)) continue;
      this.#leaving.add(front);
      front.closeConnections();
      void front.stop().then(() => this.#leaving.delete(front));
    }
    this.#fronts = fronts;
  }

  /** No new connections at once; what runs may end within the grace. */
  async stop(graceMs: number): Promise<void> {
    const fronts = this.#all();
    for (const front of fronts) front.closeConnections();
    const stopped = Promise.all(fronts.map((front) => front.stop()));
    let timer: ReturnType<typeof setTimeout> | undefined;
    const grace = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs);
    });
    await Promise.race([stopped, grace]);
    clearTimeout(timer);
    for (const front of fronts) front.kill();
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
    return [...this.#fronts.values(), ...this.#leaving];
  }
}
