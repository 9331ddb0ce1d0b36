import { dirname } from "node:path";
import { askAdmin } from "../../admin/client.ts";
import { formatAddress } from "../../config/address.ts";
import { countCpus } from "../../config/cpus.ts";
import { mergeSettings } from "../../config/overlay.ts";
import { findStrategies } from "../../config/resolve.ts";
import { ConfigError, RuntimeError } from "../../errors.ts";
import { evaluateConfigFile, evaluateStrategyConfig } from "../../process/evaluation.ts";
import { findAdmin, type FindAdminInput } from "../../process/find-admin.ts";
import { builtIns, builtInNames } from "../../strategy/built-in.ts";
import { version } from "../../version.ts";
import type { Status } from "../status-table.ts";
import { renderTable } from "../table.ts";

type PoolStatus = Status["pools"][number];

export interface StrategyList {
  readonly builtIn: readonly {
    readonly name: string;
    readonly version: string;
    readonly description: string | null;
  }[];
  /** Of the config file, and of the proxy that answers. */
  readonly pools: readonly PoolStrategy[];
  /** The admin address that answered; null when nobody did. */
  readonly running: string | null;
}

export interface PoolStrategy {
  readonly pool: string;
  /** Null when it cannot be loaded. */
  readonly name: string | null;
  readonly version: string | null;
  /** `built-in`, or the file. */
  readonly source: string;
  /**
   * `running`, `quarantined` and `changed` (another version than the running one's lies in the file,
   * waiting for a reload) and `rolled back` (the version before runs, until a reload) are told by a proxy that answers; `configured` is what nobody runs.
   */
  readonly state: "running" | "quarantined" | "changed" | "rolled back" | "configured" | "broken";
  /** Null when nobody runs it. */
  readonly faults: number | null;
  /** Why it is broken. */
  readonly problems: readonly string[];
}

/** The built-in strategies, the config file's and the running proxy's. Throws ConfigError when the config cannot be read. */
export async function listStrategies(input: FindAdminInput): Promise<StrategyList> {
  const configured = await readConfigured(input);
  const asked = await askRunning(input);
  const pools = configured.map((one) => {
    const running = asked?.pools.find(({ name }) => name === one.pool);
    return running === undefined ? one : merge(running, one);
  });
  for (const status of asked?.pools ?? []) {
    if (!pools.some(({ pool }) => pool === status.name)) pools.push(merge(status, null));
  }
  return {
    builtIn: builtIns.map(({ name, description = null }) => ({ name, version, description })),
    pools,
    running: asked?.address ?? null,
  };
}

/** For people. */
export function renderList({ builtIn, pools, running }: StrategyList): string {
  const parts = [
    renderTable([
      ["BUILT-IN", "VERSION", "PICKS"],
      ...builtIn.map(({ name, version, description }) => [name, version, description ?? ""]),
    ]),
  ];
  if (pools.length > 0) {
    const rows = pools.map((one) => [
      one.pool,
      one.name ?? "?",
      one.version ?? "?",
      one.state,
      one.faults === null ? "" : String(one.faults),
      one.source,
    ]);
    parts.push(
      renderTable([["POOL", "STRATEGY", "VERSION", "STATE", "FAULTS", "SOURCE"], ...rows]),
    );
  }
  const problems = pools.flatMap(({ pool, problems }) => problems.map((one) => `${pool}: ${one}`));
  if (problems.length > 0) parts.push(problems.join("\n"));
  if (running !== null) parts.push(`state and faults are told by the leastwise at ${running}`);
  else if (pools.length > 0)
    parts.push("no leastwise answers: nothing is known of state and faults");
  return `${parts.join("\n\n")}\n`;
}

async function readConfigured(input: FindAdminInput): Promise<PoolStrategy[]> {
  const { cwd, tempDir } = input;
  const { flags } = mergeSettings(input.flags, input.env);
  const loaded = await evaluateConfigFile({ file: flags.config, cwd, tempDir });
  if (loaded === null) return [];
  const found = findStrategies(loaded.raw, {
    baseDir: dirname(loaded.file),
    cpus: countCpus(),
    platform: process.platform,
    strategies: builtInNames,
  });
  return await Promise.all(
    found.map(async ({ pool, strategy }): Promise<PoolStrategy> => {
      const source = strategy.kind === "file" ? strategy.file : "built-in";
      const unknown = { pool, source, name: null, version: null, faults: null, problems: [] };
      try {
        const { name, version } = (await evaluateStrategyConfig(strategy, tempDir)).description;
        return { ...unknown, name, version, state: "configured" };
      } catch (thrown) {
        if (!(thrown instanceof ConfigError)) throw thrown;
        const problems = thrown.problems.map(({ path, message }) => `${path}: ${message}`);
        return { ...unknown, state: "broken", problems };
      }
    }),
  );
}

interface Answer {
  readonly address: string;
  readonly pools: readonly PoolStatus[];
}

/** Null when nobody answers: a list of files needs no proxy. */
async function askRunning(input: FindAdminInput): Promise<Answer | null> {
  const target = await findAdmin(input);
  try {
    const pools = await askAdmin(target, "/api/v1/pools");
    if (!Array.isArray(pools)) return null;
    return { address: formatAddress(target.address), pools: pools as PoolStatus[] };
  } catch (thrown) {
    if (!(thrown instanceof RuntimeError)) throw thrown;
    // Whoever names an address wants it asked, and one that refuses is there.
    const isNamed = mergeSettings(input.flags, input.env).flags.admin !== undefined;
    if (isNamed || !thrown.message.startsWith("nobody answers")) throw thrown;
    return null;
  }
}

function merge(
  { name: pool, strategy }: PoolStatus,
  configured: PoolStrategy | null,
): PoolStrategy {
  const { name, version, source, faults, quarantined, rolledBackFrom } = strategy;
  const onDisk = configured?.version ?? version;
  const isChanged = onDisk !== version;
  const known = rolledBackFrom ? "rolled back" : isChanged ? "changed" : "running";
  const state = quarantined ? "quarantined" : known;
  return {
    pool,
    name,
    version,
    source,
    state: configured?.state === "broken" ? "broken" : state,
    faults,
    problems: configured?.problems ?? [],
  };
}
