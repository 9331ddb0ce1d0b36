import type { Problem } from "../errors.ts";
import {
  addressesOverlap,
  DEFAULT_ADMIN,
  DEFAULT_LISTEN,
  formatAddress,
  isLoopback,
  parseAddress,
} from "./address.ts";
import type { SocketAddress } from "./config.ts";
import { formatPath, show } from "./problem.ts";

interface Claim {
  readonly path: readonly PropertyKey[];
  /** As written. */
  readonly text: string;
  readonly address: SocketAddress;
  /** Nobody wrote it. */
  readonly isDefault: boolean;
}

/**
 * Addresses that cannot be had together, and an admin API that is open to everybody. Clients that
 * reach the admin API by way of an overlap would be served by it instead of by a backend.
 */
export function findAddressProblems(listen: unknown, admin: unknown): Problem[] {
  const claims = [...readListen(listen), ...readAdmin(admin)];
  // What somebody wrote is to blame, not the default that it meets.
  const byBlame = [
    ...claims.filter(({ isDefault }) => isDefault),
    ...claims.filter(({ isDefault }) => !isDefault),
  ];
  const problems = byBlame.flatMap((claim, index) => {
    const first = byBlame
      .slice(0, index)
      .find(({ address }) => addressesOverlap(address, claim.address));
    return first ? [problem(claim.path, describeOverlap(claim, first))] : [];
  });
  const adminClaim = claims.find(({ path }) => path[0] === "admin");
  if (adminClaim && !isLoopback(adminClaim.address) && propertyOf(admin, "token") === undefined) {
    problems.push(
      problem(
        ["admin", "token"],
        `found nothing, but ${show(adminClaim.text)} can be reached from other machines: a token is required`,
      ),
    );
  }
  return problems;
}

function describeOverlap(claim: Claim, first: Claim): string {
  const holder = `${formatPath(first.path)} has ${first.isDefault ? "by default" : "already"}`;
  const as = first.text === claim.text ? "" : `, as ${show(formatAddress(first.address))}`;
  const allowed = "unix" in claim.address ? "another path" : "another port";
  return `found ${show(claim.text)}, which ${holder}${as}; allowed ${allowed}`;
}

function readListen(listen: unknown): Claim[] {
  if (listen === undefined) return readClaim(DEFAULT_LISTEN, ["listen", 0, "address"], true);
  if (!Array.isArray(listen)) return [];
  return listen.flatMap((entry, index) => {
    const unix = propertyOf(entry, "unix");
    if (typeof unix === "string") return readClaim(`unix:${unix}`, ["listen", index, "unix"]);
    return readClaim(propertyOf(entry, "address"), ["listen", index, "address"]);
  });
}

function readAdmin(admin: unknown): Claim[] {
  const address = propertyOf(admin, "address");
  return readClaim(address ?? DEFAULT_ADMIN, ["admin", "address"], address === undefined);
}

/** Nothing for what the schema complains about already. */
function readClaim(text: unknown, path: readonly PropertyKey[], isDefault = false): Claim[] {
  const parsed = typeof text === "string" ? parseAddress(text) : null;
  if (typeof text !== "string" || parsed === null || !("value" in parsed)) return [];
  return [{ path, text, address: parsed.value, isDefault }];
}

function propertyOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

function problem(path: readonly PropertyKey[], message: string): Problem {
  return { path: formatPath(path), message };
}
