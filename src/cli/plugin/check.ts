import { type ArgsDef, defineCommand } from "citty";
import { readSubject, subjectArgs } from "./subject.ts";

const args = {
  ...subjectArgs,
  json: { type: "boolean", description: "Print every rule as JSON" },
} as const satisfies ArgsDef;

export default defineCommand({
  meta: { name: "plugin check", description: "Prove a strategy before it ships" },
  args,
  async run({ args }) {
    const [{ checkStrategy, renderCheck }, { withTempDir }] = await Promise.all([
      import("./run-check.ts"),
      import("../temp-dir.ts"),
    ]);
    const subject = readSubject(args.file, args.options, "plugin check");
    const report = await withTempDir((tempDir) => checkStrategy(subject, tempDir));
    process.stdout.write(args.json ? `${JSON.stringify(report, null, 2)}\n` : renderCheck(report));
    process.exitCode = report.ok ? 0 : 1;
  },
});
