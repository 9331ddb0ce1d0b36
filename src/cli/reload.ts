import { defineCommand } from "citty";
import type { ReloadReport } from "../admin/facts.ts";
import { RuntimeError } from "../errors.ts";
import { adminArgs, readAdminTarget } from "./admin-flags.ts";

/** Strategies are tried out, each for seconds at most, and another reload may come first. */
const TIMEOUT_MS = 120_000;

export default defineCommand({
  meta: { name: "reload", description: "Load config file and strategies anew" },
  args: { ...adminArgs, json: { type: "boolean", description: "Print how it went as JSON" } },
  async run({ args }) {
    const { askAdmin } = await import("../admin/client.ts");
    const target = await readAdminTarget(args);
    const question = { method: "POST", timeoutMs: TIMEOUT_MS, statuses: [422] } as const;
    const report = readReport(await askAdmin(target, "/api/v1/reload", question));
    if (args.json) {
      process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
      if (!report.ok) process.exitCode = 1;
      return;
    }
    if (!report.ok) {
      const lines = report.problems.map(({ path, message }) => `  ${path}: ${message}`);
      throw new RuntimeError(`not reloaded, the configuration before goes on\n${lines.join("\n")}`);
    }
    process.stdout.write(`${[`reloaded in ${report.tookMs} ms`, ...report.notes].join("\n")}\n`);
  },
});

function readReport(value: unknown): ReloadReport {
  const { at, tookMs, trigger, ok, problems, notes } = (value ?? {}) as Partial<ReloadReport>;
  if (typeof ok !== "boolean" || at === undefined || !Array.isArray(problems)) {
    throw new RuntimeError("whoever answers there is no admin API of leastwise");
  }
  return { at, tookMs: tookMs ?? 0, trigger: trigger ?? "", ok, problems, notes: notes ?? [] };
}
