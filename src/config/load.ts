import { readFile } from "node:fs/promises";
import { existsSync, readdirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, extname, join, resolve, sep } from "node:path";
import { loadConfig } from "c12";
import { ConfigError } from "../errors.ts";
import { bundleModule } from "./bundle.ts";
import { importBundle } from "./import-bundle.ts";
import { toPlainData } from "./plain-data.ts";
import { didYouMean } from "./suggest.ts";
import { describeSyntaxError, locateThrown } from "./thrown.ts";

export interface ConfigFileRequest {
  /** Named by the user, relative to `cwd`; undefined: look for `leastwise.config.*` in `cwd`. */
  readonly file?: string | undefined;
  readonly cwd: string;
  /** Where a TypeScript or JavaScript file is bundled to. */
  readonly tempDir: string;
}

export interface LoadedConfigFile {
  /** Absolute. */
  readonly file: string;
  /** Plain data, not checked against the schema. */
  readonly raw: unknown;
  /** The file and those that it imports, absolute. */
  readonly sources: readonly string[];
  /** Names of config files beside one that nobody named; they are not read. */
  readonly passedOver: readonly string[];
}

const scripts = [".ts", ".mts", ".cts", ".js", ".mjs", ".cjs"];
const dataFormats = [".json", ".jsonc", ".json5", ".yaml", ".yml", ".toml"];

/**
 * Reads the config file, or gives null when none was named and there is none. Runs the user's code:
 * belongs in a short-lived child.
 *
 * @throws {ConfigError} when a named file is missing, or a file does not parse, throws or holds
 * something else than plain data.
 */
export async function readConfigFile(request: ConfigFileRequest): Promise<LoadedConfigFile | null> {
  const named = request.file === undefined ? null : resolve(request.cwd, request.file);
  if (named !== null) checkNamed(named);
  const asNamed = (found: string): string =>
    withoutInnerLinks(found, named ?? join(request.cwd, basename(found)));
  const importer = createImporter(request.tempDir, asNamed);
  const loaded = await loadConfig<Record<string, unknown>>({
    name: "leastwise",
    cwd: request.cwd,
    configFile: named ?? "leastwise.config",
    configFileRequired: named !== null,
    // Only that one file: no .leastwiserc, package.json, .env, `extends` from the network, $production.
    rcFile: false,
    globalRc: false,
    packageJson: false,
    dotenv: false,
    extend: false,
    giget: false,
    envName: false,
    // The raw value: c12's own merger drops what is null.
    merger: (_overrides, main) => main ?? {},
    jiti: importer.jiti,
  }).catch((thrown: unknown) => {
    if (thrown instanceof ConfigError) throw thrown;
    const file = importer.imported ?? named ?? findDataFile(request.cwd);
    throw new ConfigError([describeSyntaxError(thrown, file)], { cause: thrown });
  });
  // c12 notes in `_configFile` whether there was a file; its type says that it is always there.
  const found: string | undefined = loaded._configFile;
  if (found === undefined) return null;
  const file = asNamed(found);
  if (extname(file) === ".jsonc") await parseJson(file);
  const { data, problems } = toPlainData(loaded.config);
  if (problems.length > 0) throw new ConfigError(problems, { file });
  const name = named ?? nameIn(request.cwd, found);
  const passedOver = named === null ? findOthers(name) : [];
  const sources = new Set([name, ...(importer.sources ?? [file])]);
  return { file, raw: data, sources: [...sources], passedOver };
}

/**
 * c12 follows links. Paths in a config that is a link to somewhere else are relative to where it
 * really is; but a link into a folder beside it is how Kubernetes swaps all files of a ConfigMap, and that folder
 * is gone after the next swap.
 */
function withoutInnerLinks(found: string, named: string): string {
  if (!existsSync(named) || realpathSync(named) !== found) return found;
  return found.startsWith(join(realpathSync(dirname(named)), sep)) ? named : found;
}

/** By what name it was found: c12 follows links, and a link can be swapped for another. */
function nameIn(folder: string, found: string): string {
  const names = [...scripts, ...dataFormats].map((extension) =>
    join(folder, `leastwise.config${extension}`),
  );
  return names.find((name) => existsSync(name) && realpathSync(name) === found) ?? found;
}

function findOthers(file: string): string[] {
  const extensions = [...scripts, ...dataFormats];
  return readdirSync(dirname(file))
    .filter((name) => {
      const extension = extname(name);
      const stem = basename(name, extension);
      return stem === "leastwise.config" && extensions.includes(extension);
    })
    .filter((name) => name !== basename(file))
    .toSorted();
}

function checkNamed(file: string): void {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (!stat) throw new ConfigError([{ path: file, message: "no such file" }]);
  if (!stat.isFile()) throw new ConfigError([{ path: file, message: "is not a file" }]);
  const extension = extname(file);
  const allowed = [...scripts, ...dataFormats];
  if (allowed.includes(extension)) return;
  const found = extension === "" ? "no extension" : JSON.stringify(extension);
  throw new ConfigError([
    {
      path: file,
      message: `found ${found}, allowed ${allowed.join(" ")}${didYouMean(extension, allowed)}`,
    },
  ]);
}

type LoadOptions = NonNullable<Parameters<typeof loadConfig>[0]>;

/**
 * c12 imports scripts and .json through jiti, which needs Babel's files beside it and so cannot work
 * in a single executable: our bundler stands in for it.
 */
function createImporter(tempDir: string, asNamed: (found: string) => string) {
  const importer = {
    imported: null as string | null,
    sources: null as readonly string[] | null,
    jiti: {
      async import(found: string): Promise<unknown> {
        const file = asNamed(found);
        importer.imported = file;
        if (extname(file) === ".json") return await parseJson(file);
        const bundle = await bundleModule(file, tempDir);
        importer.sources = bundle.sources;
        const module = await importConfig(bundle.path, file);
        if (!("default" in module)) {
          throw new ConfigError([
            { path: file, message: "has no default export; write export default { … }" },
          ]);
        }
        const { default: value } = module;
        if (typeof value === "function") {
          // c12 would call it.
          throw new ConfigError([
            { path: file, message: "the default export is a function, allowed the object itself" },
          ]);
        }
        return value ?? {};
      },
    } as unknown as NonNullable<LoadOptions["jiti"]>,
  };
  return importer;
}

async function importConfig(path: string, file: string): Promise<Record<string, unknown>> {
  try {
    return await importBundle(path);
  } catch (thrown) {
    throw new ConfigError([locateThrown(thrown, file)], { cause: thrown });
  }
}

/**
 * Strict JSON for .json, comments and a last comma in .jsonc. `JSON.parse` gives no position and c12
 * reads past mistakes in .jsonc, so the bundler, which has both, says what is wrong.
 */
async function parseJson(file: string): Promise<unknown> {
  const text = (await readFile(file, "utf8")).replace(/^\uFEFF/, "");
  if (text.trim() === "")
    throw new ConfigError([{ path: file, message: "is empty, allowed an object" }]);
  try {
    return extname(file) === ".jsonc" ? Bun.JSONC.parse(text) : JSON.parse(text);
  } catch (thrown) {
    const built = await Bun.build({ entrypoints: [file], throw: false });
    const log = built.logs[0];
    const where = log?.position ? `${file}:${log.position.line}:${log.position.column}` : file;
    const message = log?.message ?? (thrown instanceof Error ? thrown.message : String(thrown));
    throw new ConfigError([{ path: where, message }], { cause: thrown });
  }
}

/** Which file c12 was reading when it gave up, for it does not say. */
function findDataFile(cwd: string): string {
  const names = [
    "leastwise.config",
    join(".config", "leastwise"),
    join(".config", "leastwise.config"),
  ];
  for (const name of names) {
    for (const extension of dataFormats) {
      const file = resolve(cwd, `${name}${extension}`);
      if (statSync(file, { throwIfNoEntry: false })?.isFile()) return file;
    }
  }
  return basename(cwd);
}
