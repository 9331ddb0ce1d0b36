import * as z from "zod";
import { configSchema } from "./schema.ts";

/** JSON Schema (2020-12) of what a config file may hold, for editors and other checkers. */
export function configJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(configSchema, { io: "input", unrepresentable: "any" });
  return { title: "Leastwise configuration", ...schema };
}
