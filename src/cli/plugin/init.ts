import { defineCommand } from "citty";
import { ConfigError } from "../../errors.ts";

export default defineCommand({
  meta: { name: "plugin init", description: "Begin a strategy" },
  args: {
    name: { type: "positional", required: false, description: "Letters, digits and -" },
  },
  async run({ args }) {
    if (args.name === undefined) {
      const message = "is missing, such as in: leastwise plugin init my-strategy";
      throw new ConfigError([{ path: "NAME", message }]);
    }
    const { createProject } = await import("./project.ts");
    const { written, notes } = await createProject(args.name, process.cwd());
    const lines = [
      ...written.map((file) => `wrote ${file}`),
      ...notes,
      `next: leastwise plugin test, leastwise plugin check ${args.name}.ts`,
    ];
    process.stdout.write(`${lines.join("\n")}\n`);
  },
});
