import type { ArgsDef } from "citty";
import type { BackendStatus, PoolStatus } from "../admin/facts.ts";
import { didYouMean } from "../config/suggest.ts";
import { ConfigError, RuntimeError } from "../errors.ts";
import { adminArgs, readAdminTarget } from "./admin-flags.ts";

export const drainArgs = {
  backend: {
    type: "positional",
    required: false,
    description: "Its id, as leastwise status shows it: host:port unless the config gives one",
  },
  pool: {
    type: "string",
    valueHint: "POOL",
    description: "In this pool only; in every pool that has the backend unless given",
  },
  ...adminArgs,
  json: { type: "boolean", description: "Print the backend's state as JSON" },
} as const satisfies ArgsDef;

export interface DrainFlags {
  readonly backend?: string | undefined;
  readonly pool?: string | undefined;
  readonly admin?: string | undefined;
  readonly config?: string | undefined;
  readonly json?: boolean | undefined;
}

/** What `drain` and `undrain` do, by the name of the command. */
export async function setDraining(action: "drain" | "undrain", flags: DrainFlags): Promise<void> {
  const { backend, pool } = flags;
  if (backend === undefined) {
    const message = `found none, allowed a backend's id, as in leastwise ${action} 10.0.0.1:3000`;
    throw new ConfigError([{ path: "BACKEND", message }]);
  }
  const { askAdmin } = await import("../admin/client.ts");
  const target = await readAdminTarget(flags);
  const pools = (await askAdmin(target, "/api/v1/pools")) as PoolStatus[];
  if (!Array.isArray(pools)) {
    throw new RuntimeError("whoever answers there is no admin API of leastwise");
  }
  const states: PooledStatus[] = [];
  const sticky = new Set(pools.filter(({ affinity }) => affinity).map(({ name }) => name));
  const failures: { pool: string; error: RuntimeError }[] = [];
  for (const name of findPools(pools, backend, pool)) {
    const [inPool, id] = [name, backend].map(encodeURIComponent);
    const path = `/api/v1/pools/${inPool}/backends/${id}/${action}`;
    try {
      const state = (await askAdmin(target, path, { method: "POST" })) as BackendStatus;
      states.push({ pool: name, ...state });
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error;
      failures.push({ pool: name, error });
    }
  }
  if (states.length > 0 || flags.json) {
    const text = flags.json
      ? JSON.stringify(states, null, 2)
      : states.map((state) => describe(action, state, sticky.has(state.pool))).join("\n");
    process.stdout.write(`${text}\n`);
  }
  if (failures.length > 0) {
    const reasons = failures.map(({ pool: name, error }) => `\n  pool ${name}: ${error.message}`);
    throw new RuntimeError(`${backend} is not ${action}ed in every pool${reasons.join("")}`);
  }
}

type PooledStatus = BackendStatus & { readonly pool: string };

/** Throws RuntimeError when there is none, or when it is not clear which one is meant. */
function findPools(
  pools: readonly PoolStatus[],
  backend: string,
  wanted: string | undefined,
): string[] {
  const names = pools.map(({ name }) => name);
  if (wanted !== undefined && !names.includes(wanted)) {
    throw new RuntimeError(
      `no pool ${wanted}, there is ${names.join(", ")}${didYouMean(wanted, names)}`,
    );
  }
  const asked = pools.filter(({ name }) => wanted === undefined || name === wanted);
  const found = asked.flatMap(({ name, backends }) =>
    backends.filter(({ id }) => id === backend).map(({ url }) => ({ name, url })),
  );
  if (found.length === 0) {
    const ids = [...new Set(asked.flatMap(({ backends }) => backends.map(({ id }) => id)))];
    const where = wanted === undefined ? "" : ` in pool ${wanted}`;
    throw new RuntimeError(
      `no backend ${backend}${where}, there is ${ids.join(", ")}${didYouMean(backend, ids)}`,
    );
  }
  if (new Set(found.map(({ url }) => url)).size > 1) {
    const servers = found.map(({ name, url }) => `${url} in pool ${name}`);
    throw new RuntimeError(`${backend} is ${servers.join(", ")}: say which with --pool`);
  }
  return found.map(({ name }) => name);
}

function describe(
  action: "drain" | "undrain",
  { id, pool, inFlight }: PooledStatus,
  sticky: boolean,
): string {
  if (action === "undrain") return `${id} in pool ${pool} gets requests again`;
  const rest =
    inFlight === 0
      ? "it has none in flight"
      : `${inFlight} in flight may finish (leastwise status shows how many are left)`;
  if (sticky) {
    return `${id} in pool ${pool} gets no new sessions; those it has go on there until it is removed; ${rest}`;
  }
  return `${id} in pool ${pool} gets no new requests; ${rest}`;
}
