import { type ArgsDef, defineCommand } from "citty";
import { readSubject, subjectArgs } from "./subject.ts";

const args = {
  ...subjectArgs,
  json: { type: "boolean", description: "Print the numbers as JSON" },
} as const satisfies ArgsDef;

export default defineCommand({
  meta: { name: "plugin bench", description: "Measure how long a strategy takes to pick" },
  args,
  async run({ args }) {
    const [{ benchStrategies, renderBench }, { withTempDir }] = await Promise.all([
      import("./run-bench.ts"),
      import("../temp-dir.ts"),
    ]);
    const subject = readSubject(args.file, args.options, "plugin bench");
    const rows = await withTempDir((tempDir) => benchStrategies(subject, tempDir));
    process.stdout.write(args.json ? `${JSON.stringify(rows, null, 2)}\n` : renderBench(rows));
  },
});
