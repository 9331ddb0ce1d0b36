import { defineCommand } from "citty";
import { drainArgs, setDraining } from "./draining.ts";

export default defineCommand({
  meta: { name: "drain", description: "Take a backend out" },
  args: drainArgs,
  run: ({ args }) => setDraining("drain", args),
});
