import { defineCommand } from "citty";
import { drainArgs, setDraining } from "./draining.ts";

export default defineCommand({
  meta: { name: "undrain", description: "Give a drained backend requests again" },
  args: drainArgs,
  run: ({ args }) => setDraining("undrain", args),
});
