import { type ArgsDef, defineCommand } from "citty";

const args = {
  files: {
    type: "positional",
    required: false,
    description: "Test files; *.test.ts of this folder and those below unless given",
  },
  filter: {
    type: "string",
    alias: "t",
    valueHint: "PATTERN",
    description: "Only tests whose name matches",
  },
} as const satisfies ArgsDef;

export default defineCommand({
  meta: { name: "plugin test", description: "Run the tests of strategies" },
  args,
  async run({ args }) {
    const [{ runTests }, { withTempDir }] = await Promise.all([
      import("./run-tests.ts"),
      import("../temp-dir.ts"),
    ]);
    process.exitCode = await withTempDir((tempDir) =>
      runTests({ files: args._, filter: args.filter, tempDir }),
    );
  },
});
