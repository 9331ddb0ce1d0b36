import { formatAddress } from "../config/address.ts";
import type { ListenConfig, SocketAddress } from "../config/config.ts";
import { NOTICE_MS } from "./listeners.ts";
import { listenPlace, probeAddress } from "./ports.ts";

interface Found {
  readonly wanted: string;
  readonly address: SocketAddress;
}

/** Until our own workers have closed what they were told to close: their notice, and a margin. */
const RELEASE_MS = NOTICE_MS + 2000;
const RELEASE_LOOK_MS = 20;

/** Where clients are served, each address with its real port, which stays the same through reloads. */
export class ListenAddresses {
  #inForce: readonly Found[] = [];
  /** That workers of ours have, or had and may still be closing. */
  readonly #ports = new Set<number>();

  get all(): readonly SocketAddress[] {
    return this.#inForce.map(({ address }) => address);
  }

  /**
   * Those that are in force are left alone; a new one is bound for a moment (see `probeAddress`),
   * for which one that was in force before is waited for.
   * Nothing changes before `commit`. Throws RuntimeError naming an address that cannot be used.
   */
  async find(listen: readonly ListenConfig[]): Promise<PreparedAddresses> {
    const free = [...this.#inForce];
    const found: Found[] = [];
    for (const [index, { address }] of listen.entries()) {
      const wanted = formatAddress(address);
      const known = free.findIndex((each) => each.wanted === wanted);
      const [kept] = known < 0 ? [] : free.splice(known, 1);
      if (kept !== undefined) found.push(kept);
      else if (this.#isOurs(address)) found.push({ wanted, address });
      else {
        const promised = found.map((each) => each.address);
        found.push({ wanted, address: await this.#probe(address, listenPlace(index), promised) });
      }
    }
    for (const { address } of found) if ("port" in address) this.#ports.add(address.port);
    return {
      listen: found.map(({ address }) => ({ address })),
      commit: () => {
        this.#inForce = found;
      },
    };
  }

  async #probe(
    address: SocketAddress,
    place: string,
    promised: readonly SocketAddress[],
  ): Promise<SocketAddress> {
    const formerlyOurs = "port" in address && this.#ports.has(address.port);
    for (let leftMs = formerlyOurs ? RELEASE_MS : 0; leftMs > 0; leftMs -= RELEASE_LOOK_MS) {
      try {
        return await probeAddress(address, place, promised);
      } catch {
        await Bun.sleep(RELEASE_LOOK_MS);
      }
    }
    return await probeAddress(address, place, promised);
  }

  /**
   * From `0.0.0.0:80` to `127.0.0.1:80`: our own workers have the port, so nobody else has it, and
   * it could not be bound alone.
   */
  #isOurs(address: SocketAddress): boolean {
    return (
      "port" in address &&
      address.port !== 0 &&
      this.all.some((each) => "port" in each && each.port === address.port)
    );
  }
}

export interface PreparedAddresses {
  readonly listen: readonly ListenConfig[];
  /** They are in force now. */
  commit(): void;
}
