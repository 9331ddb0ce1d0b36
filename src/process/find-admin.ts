import { parseAddress } from "../config/address.ts";
import type { SocketAddress } from "../config/config.ts";
import { mergeSettings, type ServeFlags } from "../config/overlay.ts";
import { ConfigError } from "../errors.ts";
import { evaluateConfigFile } from "./evaluation.ts";

export interface AdminTarget {
  readonly address: SocketAddress;
  readonly token: string | null;
}

export interface FindAdminInput {
  readonly flags: Pick<ServeFlags, "admin" | "config">;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Private folder for the bundle of a config file. */
  readonly tempDir: string;
}

const DEFAULT_ADDRESS = "127.0.0.1:9900";

/**
 * The master to talk to: by flag or environment, else by the config file, else at the default
 * address. The token comes from the config file, which is the only place that has it.
 *
 * Throws ConfigError.
 */
export async function findAdmin(input: FindAdminInput): Promise<AdminTarget> {
  const { flags, origins } = mergeSettings(input.flags, input.env);
  const loaded = await evaluateConfigFile({
    file: flags.config,
    cwd: input.cwd,
    tempDir: input.tempDir,
  });
  const admin = propertyOf(loaded?.raw, "admin");
  const configured = propertyOf(admin, "address");
  const token = propertyOf(admin, "token");
  const text = flags.admin ?? (typeof configured === "string" ? configured : DEFAULT_ADDRESS);
  const parsed = parseAddress(text);
  if (!("value" in parsed)) {
    const path = origins.admin ?? "admin.address";
    throw new ConfigError([
      { path, message: `found ${JSON.stringify(text)}, allowed ${parsed.allowed}` },
    ]);
  }
  return { address: parsed.value, token: typeof token === "string" ? token : null };
}

function propertyOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
