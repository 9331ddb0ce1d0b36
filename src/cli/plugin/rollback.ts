import { type ArgsDef, defineCommand } from "citty";
import type { RollbackReport } from "../../admin/facts.ts";
import { ConfigError, RuntimeError } from "../../errors.ts";
import { isSameStrategy, listChanged, nameVersion } from "../../strategy/strategy-version.ts";
import { adminArgs, readAdminTarget } from "../admin-flags.ts";

/** A reload may come first. */
const TIMEOUT_MS = 120_000;

const args = {
  pool: {
    type: "positional",
    required: false,
    description: "The pool whose strategy is returned to the version before",
  },
  ...adminArgs,
  json: { type: "boolean", description: "Print both versions as JSON" },
} as const satisfies ArgsDef;

export default defineCommand({
  meta: { name: "plugin rollback", description: "Return to the version before" },
  args,
  async run({ args }) {
    if (args.pool === undefined) {
      const message = "is missing, such as in: leastwise plugin rollback web";
      throw new ConfigError([{ path: "POOL", message }]);
    }
    const { askAdmin } = await import("../../admin/client.ts");
    const target = await readAdminTarget(args);
    const path = `/api/v1/pools/${encodeURIComponent(args.pool)}/rollback`;
    const question = { method: "POST", timeoutMs: TIMEOUT_MS } as const;
    const report = (await askAdmin(target, path, question)) as Partial<RollbackReport>;
    const { pool, strategy, before } = report;
    if (pool === undefined || strategy === undefined || before === undefined) {
      throw new RuntimeError("whoever answers there is no admin API of leastwise");
    }
    const options = listChanged(before, strategy);
    const text = isSameStrategy(strategy, before)
      ? `pool ${pool} is back at the former options (${options}) of ${nameVersion(strategy)}; leastwise reload takes those of the config again`
      : `pool ${pool} is back at ${nameVersion(strategy)}, from ${nameVersion(before)}; leastwise reload loads its file again`;
    process.stdout.write(`${args.json ? JSON.stringify(report, null, 2) : text}\n`);
  },
});
