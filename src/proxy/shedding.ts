/** One open connection of a client. */
export interface ClientConnection {
  /** As `clientOf` has it. */
  readonly address: string;
  /** One of our own proxies, in front of many clients. */
  readonly trusted: boolean;
  /** A request is under way on it. */
  readonly busy: boolean;
  /** When it was first seen; lower is older. */
  readonly since: number;
}

/** How many are too many. */
export interface Excess<C> {
  readonly total: number;
  /** Of the client whose connection this is. */
  of(connection: C): number;
}

/**
 * Which connections to close. Each address loses what it has too many of; what is too much in total
 * is taken from the addresses that have most, so that a client with few never pays for one with many, and from
 * trusted proxies last. Of one address, those without a request go first, and of these the oldest (as nginx does with its
 * reusable connections).
 */
export function chooseExcess<C extends ClientConnection>(
  connections: readonly C[],
  excess: Excess<C>,
): C[] {
  const chosen: C[] = [];
  const clients: C[][] = [];
  const proxies: C[][] = [];
  for (const group of Map.groupBy(connections, ({ address }) => address).values()) {
    const first = group[0] as C;
    group.sort(byWorth);
    chosen.push(...group.splice(0, excess.of(first)));
    (first.trusted ? proxies : clients).push(group);
  }
  for (const groups of [clients, proxies]) {
    chosen.push(...takeFromMost(groups, excess.total - chosen.length));
  }
  return chosen;
}

/** Takes that many, or all, so that those with most end level. */
function takeFromMost<C>(groups: readonly C[][], count: number): C[] {
  const taken: C[] = [];
  const level = fairLevel(groups, count);
  // Down to one above the level everywhere first, so that the last one of a client is nobody's first choice.
  for (const floor of [level + 1, level]) {
    for (const group of groups) {
      const most = Math.max(0, count - taken.length);
      taken.push(...group.splice(0, Math.max(0, Math.min(group.length - floor, most))));
    }
  }
  return taken;
}

/** Who counts as one client: one customer has at least 64 bits of an IPv6 address to choose from (RFC 6177). */
export function clientOf(ipAddress: string): string {
  if (!ipAddress.includes(":")) return ipAddress;
  const [front = "", back] = ipAddress.split("::");
  const head = front === "" ? [] : front.split(":");
  const tail = back === undefined || back === "" ? [] : back.split(":");
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => "0");
  return `${[...head, ...zeros, ...tail].slice(0, 4).join(":")}::/64`;
}

function byWorth(one: ClientConnection, two: ClientConnection): number {
  return Number(one.busy) - Number(two.busy) || one.since - two.since;
}

/** The highest number that each may keep so that at least `missing` go, or 0. */
function fairLevel(groups: readonly (readonly unknown[])[], missing: number): number {
  let low = 0;
  let high = Math.max(0, ...groups.map(({ length }) => length));
  while (low < high) {
    const level = Math.ceil((low + high) / 2);
    const above = groups.reduce((sum, { length }) => sum + Math.max(0, length - level), 0);
    if (above >= missing) low = level;
    else high = level - 1;
  }
  return low;
}
