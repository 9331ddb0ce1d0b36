import type { ClientConnectionsConfig } from "../config/config.ts";
import type { Logger } from "../log.ts";
import type { ConnectionCensus } from "../pool/connection-census.ts";
import { type Trust, withoutMapping } from "../proxy/client-address.ts";
import { chooseExcess, type ClientConnection, clientOf } from "../proxy/shedding.ts";
import type { Endpoint, SocketCalls } from "../transport/socket-calls.ts";
import { countDescriptors, openDescriptors, roomForClients } from "./descriptors.ts";

export interface ClientConnectionsOptions {
  readonly calls: SocketCalls;
  readonly census: ConnectionCensus;
  readonly worker: number;
  /** Null: no limit, or unknown. */
  readonly descriptorLimit: number | null;
  /** TCP ports on which clients come in. */
  readonly ports: () => ReadonlySet<number>;
  /** The clients whose requests are under way. */
  readonly underWay: () => Iterable<Endpoint>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly log: Logger;
}

/** A flood brings some five connections per millisecond: in this time no more than the limit leaves room for. */
const TICK_MS = 100;
const DESCRIPTORS_PER_TICK_MS = 10;
const SWEEP_MS = 250;
/** A sweep that took long is repeated only after this many times as long: one percent of a processor. */
const SWEEP_SPARING = 100;
const LOG_MS = 10_000;

interface Found {
  readonly descriptor: number;
  readonly peer: Endpoint;
  readonly address: string;
  readonly since: number;
}

interface Open extends Found, ClientConnection {}

/**
 * Keeps the connections of clients within their limits. Bun.serve (1.4.5) accepts whatever comes and
 * tells neither how many there are nor about one that sends no whole request; out of descriptors it
 * uses up a processor. So a sweep finds the clients' sockets among the open descriptors, and shuts
 * down those that are too many; Bun sees that as their end.
 */
export class ClientConnections {
  readonly #options: ClientConnectionsOptions;
  readonly #room: number;
  readonly #timer: ReturnType<typeof setInterval>;
  #limits: ClientConnectionsConfig = { max: null, maxPerAddress: null };
  #isTrusted: Trust = () => false;
  #known = new Map<number, Found>();
  #sweeps = 0;
  #nextSweepMs = 0;
  #nextLogMs = 0;
  #closedSinceLog = 0;

  constructor(options: ClientConnectionsOptions) {
    this.#options = options;
    const { descriptorLimit } = options;
    this.#room =
      descriptorLimit === null ? Number.POSITIVE_INFINITY : roomForClients(descriptorLimit);
    const tickMs = Math.min(
      TICK_MS,
      (descriptorLimit ?? Number.POSITIVE_INFINITY) / DESCRIPTORS_PER_TICK_MS,
    );
    this.#timer = setInterval(() => this.#tick(), tickMs);
  }

  setLimits(limits: ClientConnectionsConfig, isTrusted: Trust): void {
    this.#limits = limits;
    this.#isTrusted = isTrusted;
  }

  /** Connections of clients to this worker, now. */
  count(): number {
    return this.#find().size;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const { census, worker, now } = this.#options;
    const descriptors = countDescriptors(this.#options.descriptorLimit);
    census.setDescriptors(worker, descriptors);
    const { max, maxPerAddress } = this.#limits;
    const lowest = Math.min(
      max ?? Number.POSITIVE_INFINITY,
      maxPerAddress ?? Number.POSITIVE_INFINITY,
    );
    // There are more descriptors than connections: with so few nobody can have too many.
    const few = census.descriptors <= lowest && descriptors <= this.#room;
    if (few) {
      if (this.#known.size > 0) census.publish(worker, []);
      this.#known.clear();
      return;
    }
    if (descriptors <= this.#room && now() < this.#nextSweepMs) return;
    this.#sweep();
  }

  #sweep(): void {
    const { calls, census, worker, now } = this.#options;
    const startMs = now();
    const open = this.#markBusy(this.#find());
    census.publish(worker, open);
    const excess = this.#chooseExcess(open);
    for (const { descriptor } of excess) {
      calls.shutdown(descriptor);
      this.#known.delete(descriptor);
    }
    if (excess.length > 0) {
      const gone = new Set(excess);
      census.publish(
        worker,
        open.filter((each) => !gone.has(each)),
      );
      this.#report(excess);
    }
    const endMs = now();
    this.#nextSweepMs = endMs + Math.max(SWEEP_MS, (endMs - startMs) * SWEEP_SPARING);
  }

  /** By descriptor. */
  #find(): Map<number, Found> {
    const { calls, descriptorLimit } = this.#options;
    const ports = this.#options.ports();
    const found = new Map<number, Found>();
    this.#sweeps++;
    for (const descriptor of openDescriptors(descriptorLimit)) {
      const peer = calls.peer(descriptor);
      if (peer === null) continue;
      const known = this.#known.get(descriptor);
      if (known?.peer.port === peer.port && known.peer.address === peer.address) {
        found.set(descriptor, known);
        continue;
      }
      const local = calls.local(descriptor);
      if (local === null || !ports.has(local.port)) continue;
      const address = clientOf(peer.address);
      found.set(descriptor, { descriptor, peer, address, since: this.#sweeps });
    }
    this.#known = found;
    return found;
  }

  #markBusy(found: ReadonlyMap<number, Found>): Open[] {
    const busy = new Set<string>();
    for (const { address, port } of this.#options.underWay()) {
      busy.add(`${withoutMapping(address)} ${port}`);
    }
    return [...found.values()].map((each) => ({
      ...each,
      busy: busy.has(`${each.peer.address} ${each.peer.port}`),
    }));
  }

  #chooseExcess(open: readonly Open[]): Open[] {
    const { census, worker } = this.#options;
    const { max, maxPerAddress } = this.#limits;
    const total = Math.max(open.length - this.#room, max === null ? 0 : census.excess(worker, max));
    const of = ({ address, peer }: Open): number =>
      maxPerAddress === null || this.#isTrusted(peer.address)
        ? 0
        : census.excessOf(address, worker, maxPerAddress);
    return chooseExcess(open, { total, of });
  }

  #report(closed: readonly Open[]): void {
    const { census, worker, now, log } = this.#options;
    this.#closedSinceLog += closed.length;
    if (now() < this.#nextLogMs) return;
    this.#nextLogMs = now() + LOG_MS;
    const counts = Map.groupBy(closed, ({ address }) => address);
    const [most] = [...counts].sort(([, one], [, two]) => two.length - one.length);
    log.warn("too many client connections, some were closed", {
      worker,
      closed: this.#closedSinceLog,
      open: census.connections,
      mostFrom: most?.[0] ?? null,
      max: this.#limits.max ?? "as many as there are descriptors for",
      maxPerAddress: this.#limits.maxPerAddress ?? "no limit",
    });
    this.#closedSinceLog = 0;
  }
}
