import { join } from "node:path";

/** The text of the module, in a compiled executable: `build.ts` puts it here. */
declare const LEASTWISE_TESTING: string;

/** The JavaScript of `leastwise/testing`, in one file without imports. */
export async function testingModule(): Promise<string> {
  if (typeof LEASTWISE_TESTING === "string") return LEASTWISE_TESTING;
  const { outputs } = await Bun.build({
    entrypoints: [join(import.meta.dir, "../../testing.ts")],
    target: "bun",
    minify: { whitespace: true, syntax: true },
  });
  return (await outputs[0]?.text()) ?? "";
}
