import { defineCommand } from "citty";

export default defineCommand({
  meta: { name: "schema", description: "Print the JSON Schema of the config file" },
  async run() {
    const { configJsonSchema } = await import("../config/json-schema.ts");
    process.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  },
});
