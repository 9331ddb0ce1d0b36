import { lstatSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError, type Problem, RuntimeError } from "../../errors.ts";
import { API_FOLDER, apiModules, apiPaths, apiTypes } from "./api-files.ts";
import { strategyTemplate, testTemplate } from "./templates.ts";

export interface Project {
  /** Relative to the folder. */
  readonly written: readonly string[];
  /** What a person should know beside that, in sentences. */
  readonly notes: readonly string[];
}

const TSCONFIG = "tsconfig.json";

/**
 * Writes what a strategy begins with: its file, its test, and what an editor needs for both. Writes
 * nothing at all when one of the author's files is there already; what lies in `.leastwise/` is ours
 * and is written anew.
 *
 * @throws {ConfigError} for a name that no strategy can have, files that are there, or a `.leastwise` that is not ours.
 * @throws {RuntimeError} when the folder takes no files.
 */
export async function createProject(name: string, folder: string): Promise<Project> {
  refuseName(name);
  const files: Record<string, string> = {
    [`${name}.ts`]: strategyTemplate(name),
    [`${name}.test.ts`]: testTemplate(name),
  };
  const api = { ...apiTypes(), ...(await apiModules()) };
  const problems = [
    ...findExisting(Object.keys(files), folder),
    ...findForeign(Object.keys(api), folder),
  ];
  if (problems.length > 0) throw new ConfigError(problems);
  const notes: string[] = [];
  // The second strategy of a folder has the settings of the first.
  const settings = await readIfThere(join(folder, TSCONFIG));
  if (settings === null) files[TSCONFIG] = TSCONFIG_TEXT;
  else if (!settings.includes(`${API_FOLDER}/`)) notes.push(FOREIGN_TSCONFIG);
  try {
    await mkdir(join(folder, API_FOLDER), { recursive: true });
    for (const [file, text] of Object.entries(api)) {
      await writeFile(join(folder, API_FOLDER, file), text);
    }
    // `wx`: what came into being since we looked is not overwritten either.
    for (const [file, text] of Object.entries(files)) {
      await writeFile(join(folder, file), text, { flag: "wx" });
    }
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new RuntimeError(`cannot write to ${folder}: ${reason}`, { cause: thrown });
  }
  return { written: [...Object.keys(files), `${API_FOLDER}/`], notes };
}

const PATHS = apiPaths(`./${API_FOLDER}`);

const TSCONFIG_TEXT = `${JSON.stringify(
  {
    compilerOptions: {
      target: "ESNext",
      module: "Preserve",
      moduleResolution: "bundler",
      lib: ["ESNext", "WebWorker"],
      types: [],
      strict: true,
      noUncheckedIndexedAccess: true,
      allowImportingTsExtensions: true,
      skipLibCheck: true,
      noEmit: true,
      paths: PATHS,
    },
    include: ["*.ts", `${API_FOLDER}/*.d.ts`],
  },
  null,
  2,
)}\n`;

const FOREIGN_TSCONFIG =
  `${TSCONFIG} is yours and stays as it is; for types, add to its compilerOptions ` +
  `"paths": ${JSON.stringify(PATHS)}, and "${API_FOLDER}/*.d.ts" to its include`;

function refuseName(name: string): void {
  if (/^[A-Za-z0-9-]+$/.test(name)) return;
  const meant = name.replace(/^.*[/\\]/, "").replace(/(?:\.test)?\.[cm]?[jt]s$/, "");
  const plain = meant.replaceAll(/[^A-Za-z0-9-]+/g, "-").replaceAll(/^-+|-+$/g, "");
  const hint = plain === "" ? "" : `; did you mean ${JSON.stringify(plain)}?`;
  const message = `found ${JSON.stringify(name)}, allowed letters, digits and -${hint}`;
  throw new ConfigError([{ path: "NAME", message }]);
}

function findExisting(files: readonly string[], folder: string): Problem[] {
  const there = files.filter((file) => isThere(join(folder, file)));
  return there.map((path) => ({ path, message: "is there already, and nothing is overwritten" }));
}

/** What would be written through a link is not ours, wherever it leads. */
function findForeign(files: readonly string[], folder: string): Problem[] {
  const own = lstatSync(join(folder, API_FOLDER), { throwIfNoEntry: false });
  if (own === undefined) return [];
  if (!own.isDirectory()) {
    const found = own.isSymbolicLink() ? "a link" : "no folder";
    const allowed = "a folder of leastwise's own, in which files are written anew";
    return [{ path: API_FOLDER, message: `is ${found}, allowed ${allowed}` }];
  }
  return files.toSorted().flatMap((name) => {
    const file = lstatSync(join(folder, API_FOLDER, name), { throwIfNoEntry: false });
    if (file === undefined || file.isFile()) return [];
    const found = file.isSymbolicLink() ? "a link" : "no file";
    const message = `is ${found}, allowed a file, which is written anew`;
    return [{ path: `${API_FOLDER}/${name}`, message }];
  });
}

/** Empty when it cannot be read: a folder, a link to nothing. */
async function readIfThere(file: string): Promise<string | null> {
  return isThere(file) ? await readFile(file, "utf8").catch(() => "") : null;
}

/** A link counts wherever it leads: nothing can be created in its place. */
function isThere(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}
