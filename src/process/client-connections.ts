import type { ClientConnectionsConfig } from "../config/config.ts";
import type { Logger } from "../log.ts";
import type { CensusCells, ConnectionCensus } from "../pool/connection-census.ts";
import { type Trust, withoutMapping } from "../proxy/client-address.ts";
import { chooseExcess, type ClientConnection, clientOf } from "../proxy/shedding.ts";
import type { Endpoint } from "../transport/endpoint.ts";
import type { SocketCalls } from "../transport/socket-calls.ts";
import { type Descriptors, roomForClients } from "./descriptors.ts";

export interface ClientConnectionsOptions {
  readonly calls: SocketCalls;
  readonly descriptors: Descriptors;
  readonly census: ConnectionCensus;
  readonly worker: number;
  /** What this process writes of the census. */
  readonly column: number;
  /** Whether clients come in there. */
  readonly isListener: (local: Endpoint) => boolean;
  /** The clients whose requests are under way. */
  readonly underWay: () => Iterable<Endpoint>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly log: Logger;
}

const SWEEP_MS = 250;
/** A sweep that took long is repeated only after this many times as long: one percent of a processor. */
const SWEEP_SPARING = 100;
const LOG_MS = 10_000;
const NO_LIMIT = Number.POSITIVE_INFINITY;

interface Found {
  readonly descriptor: number;
  readonly peer: Endpoint;
  readonly address: string;
  readonly trusted: boolean;
  readonly cells: CensusCells;
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
  #limits: ClientConnectionsConfig = { max: null, maxPerAddress: null };
  #isTrusted: Trust = () => false;
  #known = new Map<number, Found>();
  #sweeps = 0;
  #nextSweepMs = 0;
  /** Descriptors from which on there may be too many connections, as the last sweep has it. */
  #sweepAbove = 0;
  #nextLogMs = 0;
  #closedSinceLog = 0;
  #failed = false;

  constructor(options: ClientConnectionsOptions) {
    this.#options = options;
    const { limit } = options.descriptors;
    this.#room = limit === null ? NO_LIMIT : roomForClients(limit);
  }

  /** The next `tick` looks at every connection. */
  setLimits(limits: ClientConnectionsConfig, isTrusted: Trust): void {
    this.#limits = limits;
    this.#isTrusted = isTrusted;
    this.#known.clear();
    this.#nextSweepMs = 0;
  }

  /** Connections of clients to this worker, now. */
  count(): number {
    return this.#find().size;
  }

  /** To be called often: it looks at the connections only when there may be too many. Never throws. */
  tick(): void {
    try {
      this.#tick();
    } catch (error) {
      if (this.#failed) return;
      this.#failed = true;
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.log.error("client connections cannot be counted, nor limited", { reason });
    }
  }

  #tick(): void {
    const { census, column, descriptors, now } = this.#options;
    const count = descriptors.count();
    census.setDescriptors(column, count);
    const { max, maxPerAddress } = this.#limits;
    // There are more descriptors than connections: with so few nobody can have too many.
    if (census.descriptors <= Math.min(max ?? NO_LIMIT, maxPerAddress ?? NO_LIMIT, this.#room)) {
      if (this.#known.size > 0) census.publish(column, []);
      this.#known.clear();
      this.#sweepAbove = 0;
      return;
    }
    if (count > this.#sweepAbove || now() >= this.#nextSweepMs) this.#sweep(count);
  }

  #sweep(descriptors: number): void {
    const { calls, census, column, now } = this.#options;
    const startMs = now();
    const open = this.#markBusy(this.#find());
    census.publish(column, open);
    const excess = this.#chooseExcess(open);
    for (const { descriptor } of excess) {
      calls.shutdown(descriptor);
      this.#known.delete(descriptor);
    }
    if (excess.length > 0) {
      const gone = new Set(excess);
      census.publish(
        column,
        open.filter((each) => !gone.has(each)),
      );
      this.#report(excess);
    }
    // As many connections more than now would be too many, in this worker or over all.
    const { max } = this.#limits;
    const left = open.length - excess.length;
    const spare = Math.min(this.#room - left, (max ?? NO_LIMIT) - census.connections);
    this.#sweepAbove = descriptors - excess.length + Math.max(0, spare);
    const endMs = now();
    this.#nextSweepMs = endMs + Math.max(SWEEP_MS, (endMs - startMs) * SWEEP_SPARING);
  }

  /** By descriptor. */
  #find(): Map<number, Found> {
    const { calls, descriptors, isListener } = this.#options;
    const found = new Map<number, Found>();
    this.#sweeps++;
    for (const descriptor of descriptors.list()) {
      const known = this.#known.get(descriptor);
      const peer = calls.peer(descriptor, known?.peer);
      if (peer === null) continue;
      if (known?.peer === peer) {
        found.set(descriptor, known);
        continue;
      }
      const local = calls.local(descriptor);
      if (local !== null && isListener(local)) found.set(descriptor, this.#meet(descriptor, peer));
    }
    this.#known = found;
    return found;
  }

  #meet(descriptor: number, peer: Endpoint): Found {
    const trusted = this.#isTrusted(peer.address);
    // Its neighbours in the same /64 need not be trusted.
    const address = trusted ? `trusted ${peer.address}` : clientOf(peer.address);
    const cells = this.#options.census.cellsOf(address);
    return { descriptor, peer, address, trusted, cells, since: this.#sweeps };
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
    const { census, column } = this.#options;
    const { max, maxPerAddress } = this.#limits;
    const total = Math.max(open.length - this.#room, max === null ? 0 : census.excess(column, max));
    if (total <= 0 && maxPerAddress === null) return [];
    const of = ({ trusted, cells }: Open): number =>
      trusted || maxPerAddress === null ? 0 : census.excessOf(cells, column, maxPerAddress);
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
