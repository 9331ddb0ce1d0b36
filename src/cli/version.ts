import { defineCommand } from "citty";
import { version } from "../version.ts";

/** `leastwise 0.1.0`, for `--version` too. */
export function printVersion(): void {
  process.stdout.write(`leastwise ${version}\n`);
}

export default defineCommand({
  meta: { name: "version", description: "Print the version" },
  run: printVersion,
});
