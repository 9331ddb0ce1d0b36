import type { AdminTarget } from "../admin/client.ts";
import {
  DEFAULT_ADMIN,
  isSameAddress,
  parseAddress,
  parseAdminAddress,
} from "../config/address.ts";
import type { SocketAddress } from "../config/config.ts";
import { ADMIN_TOKEN_VARIABLE, mergeSettings, type ServeFlags } from "../config/overlay.ts";
import { show } from "../config/problem.ts";
import { ConfigError } from "../errors.ts";
import { evaluateConfigFile } from "./evaluation.ts";

export interface FindAdminInput {
  readonly flags: Pick<ServeFlags, "admin" | "config">;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Private folder for the bundle of a config file. */
  readonly tempDir: string;
}

/**
 * The master to talk to: by flag or environment, else by the config file, else at the default
 * address. The config file's token is for the config file's address: anybody else who is asked gets
 * LEASTWISE_ADMIN_TOKEN, or none.
 *
 * @throws {ConfigError}
 */
export async function findAdmin(input: FindAdminInput): Promise<AdminTarget> {
  const { flags, origins } = mergeSettings(input.flags, input.env);
  const loaded = await readConfigFile(flags, input);
  const admin = propertyOf(loaded?.raw, "admin");
  const configured = propertyOf(admin, "address") ?? DEFAULT_ADMIN;
  const address = readAddress(flags.admin ?? configured, origins.admin ?? "admin.address");
  const own = parseAddress(String(configured));
  const isOwn = "value" in own && isSameAddress(address, own.value);
  const token =
    readToken(isOwn ? propertyOf(admin, "token") : undefined, "admin.token") ??
    readToken(input.env[ADMIN_TOKEN_VARIABLE], ADMIN_TOKEN_VARIABLE);
  return { address, token };
}

/** Null: there is none. One that is broken must not keep anybody from looking after what runs without it. */
async function readConfigFile(
  flags: FindAdminInput["flags"],
  { cwd, tempDir }: FindAdminInput,
): ReturnType<typeof evaluateConfigFile> {
  try {
    return await evaluateConfigFile({ file: flags.config, cwd, tempDir });
  } catch (error) {
    if (!(error instanceof ConfigError) || flags.config !== undefined) throw error;
    if (flags.admin !== undefined) return null;
    const message = "found none, and the config file that may name the address cannot be read";
    throw new ConfigError([...error.problems, { path: "--admin", message }], { file: error.file });
  }
}

function readAddress(text: unknown, path: string): SocketAddress {
  const parsed = parseAdminAddress(String(text));
  if ("value" in parsed) return parsed.value;
  const reason = parsed.reason === undefined ? "" : ` (${parsed.reason})`;
  const message = `found ${show(text)}${reason}, allowed ${parsed.allowed}`;
  throw new ConfigError([{ path, message }]);
}

/** Null when there is none; empty counts as none. */
function readToken(text: unknown, path: string): string | null {
  if (text === undefined || text === "") return null;
  if (typeof text === "string" && /^[\x21-\x7e]+$/.test(text)) return text;
  // What was found is a secret.
  throw new ConfigError([{ path, message: "found something else, allowed a text without spaces" }]);
}

function propertyOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
