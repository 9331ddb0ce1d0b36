import type { ArgsDef } from "citty";
import type { AdminTarget } from "../admin/client.ts";

/** Which running leastwise is meant; what every command that talks to one has in common. */
export const adminArgs = {
  admin: {
    type: "string",
    valueHint: "HOST:PORT",
    description: "Its admin address; the config file's, or 127.0.0.1:9900, unless given",
  },
  config: {
    type: "string",
    alias: "c",
    valueHint: "FILE",
    description: "The config file that names the admin address",
  },
} as const satisfies ArgsDef;

/** @throws {ConfigError} */
export async function readAdminTarget(flags: {
  readonly admin?: string | undefined;
  readonly config?: string | undefined;
}): Promise<AdminTarget> {
  const [{ findAdmin }, { withTempDir }] = await Promise.all([
    import("../process/find-admin.ts"),
    import("./temp-dir.ts"),
  ]);
  const { admin, config } = flags;
  return withTempDir((tempDir) =>
    findAdmin({ flags: { admin, config }, env: process.env, cwd: process.cwd(), tempDir }),
  );
}
