import { join } from "node:path";
import { type BareFolder, createBareFolder } from "./binary.ts";

/** A folder in which every file that Bun itself would read does harm, and says so in `harmed`. */
export async function createHostileFolder(): Promise<BareFolder> {
  const folder = await createBareFolder();
  await folder.write(".env", "LEASTWISE_LISTEN=nowhere\nHARMED=by .env\nNODE_OPTIONS=--harm\n");
  await folder.write("bunfig.toml", 'preload = ["./harm.ts"]\n');
  await folder.write(
    "package.json",
    '{ "type": "commonjs", "leastwise": { "listen": "nowhere" } }',
  );
  const paths = { "*": ["./harm.ts"] };
  await folder.write("tsconfig.json", JSON.stringify({ compilerOptions: { baseUrl: ".", paths } }));
  await folder.write(
    "harm.ts",
    'import { writeFileSync } from "node:fs";\nwriteFileSync("harmed", "");\nprocess.env.HARMED = "by code";\n',
  );
  await folder.write(
    "mine.ts",
    [
      'import { defineStrategy } from "leastwise";',
      "if (process.env.HARMED !== undefined) throw new Error(`harmed ${process.env.HARMED}`);",
      'export default defineStrategy({ name: "mine", apiVersion: 1, create: () => ({ score: () => 0 }) });',
    ].join("\n"),
  );
  return folder;
}

/** Whether any of the folder's code ran, in whatever process. */
export async function isHarmed(folder: BareFolder): Promise<boolean> {
  return await Bun.file(join(folder.path, "harmed")).exists();
}
