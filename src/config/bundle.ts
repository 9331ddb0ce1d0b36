import { createHash, randomUUID } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import type { BunPlugin } from "bun";
import { ConfigError, type Problem } from "../errors.ts";

export interface Bundle {
  /** Absolute path of the bundle, an ES module without imports of files. */
  readonly path: string;
  /** Hash of the bundle's code: the same code has the same version wherever it lies. */
  readonly version: string;
  /** The file and those that it imports, absolute; without packages. */
  readonly sources: readonly string[];
}

/**
 * Makes one module of a user's file and everything it imports. A new content is a new file name, so
 * that importing it never finds an older one in the module cache.
 *
 * Run this in a process that may run the user's code: `Bun.build` executes macros while it bundles
 * and cannot be told not to (`--no-macros` does not reach it). Those that are seen are refused.
 *
 * @throws {ConfigError} with file, line and column of each mistake.
 */
export async function bundleModule(file: string, outDir: string): Promise<Bundle> {
  await mkdir(outDir, { recursive: true });
  // In place of any that lies about: its aliases would decide what a strategy's imports mean.
  const tsconfig = join(outDir, "tsconfig.json");
  await writeFile(tsconfig, "{}");
  const built = await Bun.build({
    entrypoints: [file],
    tsconfig,
    target: "bun",
    format: "esm",
    sourcemap: "external",
    // Without white space there are no comments with paths, which would be part of the hash.
    minify: { whitespace: true },
    metafile: true,
    plugins: [entryAsNamed, leastwiseModule, macroRefusal],
    throw: false,
  });
  const entry = built.outputs.find((output) => output.kind === "entry-point");
  if (!built.success || !entry) throw new ConfigError(built.logs.map(asProblem(file)));

  const code = (await entry.text()).replace(/\n\/\/# debugId=.*\n?$/, "\n");
  const map = built.outputs.find((output) => output.kind === "sourcemap");
  const version = createHash("sha256").update(code).digest("hex").slice(0, 12);
  const sources = sourcesOf(file, Object.keys(built.metafile?.inputs ?? {}));
  const path = join(outDir, `${basename(file).replace(/\W+/g, "-")}-${version}.mjs`);
  // The same bundle may be written twice at once: a rename leaves no moment with half a file.
  const partial = `${path}.${randomUUID()}`;
  await writeFile(partial, map ? `${code}${inlineMap(await map.text())}` : code);
  await rename(partial, path);
  return { path, version, sources };
}

/** `inputs`: as the bundler names them, relative to the working directory. */
function sourcesOf(file: string, inputs: readonly string[]): string[] {
  const own = inputs.filter((input) => !/(^leastwise:|[/\\]node_modules[/\\])/.test(input));
  return [...new Set([file, ...own.map((input) => resolve(input))])];
}

/** With the map in place, errors name the user's file and line and not the bundle's. */
function inlineMap(text: string): string {
  const map = JSON.parse(text) as { sources: string[] };
  map.sources = map.sources.map((source) => resolve(source));
  const encoded = Buffer.from(JSON.stringify(map)).toString("base64");
  return `//# sourceMappingURL=data:application/json;base64,${encoded}\n`;
}

/**
 * The file is the file. Bun would send even an absolute path through `paths` of the tsconfig.json of
 * the working directory, where `"*"` may lead anywhere.
 */
const entryAsNamed: BunPlugin = {
  name: "entry-as-named",
  setup(build) {
    build.onResolve({ filter: /./ }, ({ path, kind }) =>
      kind === "entry-point-build" ? { path } : undefined,
    );
  },
};

/** Supplies what `import … from "leastwise"` gives, so that a file beside a lone binary may use it. */
const leastwiseModule: BunPlugin = {
  name: "leastwise",
  setup(build) {
    build.onResolve({ filter: /^leastwise$/ }, () => ({
      path: "leastwise",
      namespace: "leastwise",
    }));
    build.onLoad({ filter: /./, namespace: "leastwise" }, () => ({
      contents:
        "export const defineConfig = (config) => config; export const defineStrategy = (plugin) => plugin;",
      loader: "js",
    }));
  },
};

const macroRefusal: BunPlugin = {
  name: "no-macros",
  setup(build) {
    build.onLoad({ filter: /\.[cm]?[jt]sx?$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const found = /\bwith\s*\{\s*["']?type["']?\s*:\s*["']macro["']/.exec(source);
      if (found) throw new MacroError(path, source.slice(0, found.index).split("\n").length);
      return undefined;
    });
  },
};

class MacroError extends Error {
  constructor(file: string, line: number) {
    super(`${file}:${line}: macros are not supported`);
  }
}

function asProblem(file: string): (log: BuildMessage | ResolveMessage) => Problem {
  return ({ message, position }) => {
    const [, place, reason] = /^(.*:\d+): (macros are not supported)$/m.exec(message) ?? [];
    if (place !== undefined && reason !== undefined) return { path: place, message: reason };
    const where = position ? `${position.file || file}:${position.line}:${position.column}` : file;
    return { path: where, message: describeUnresolved(message) ?? message };
  };
}

/** Bun says `Could not resolve: "lodash/fp". Maybe you need to "bun install"?`, to people who may have no Bun. */
function describeUnresolved(message: string): string | null {
  const [, found] =
    /^Could not resolve: "((?:@[^/"]+\/)?[^/."@:][^/":]*)(?:\/[^"]*)?"/.exec(message) ?? [];
  return found === undefined
    ? null
    : `cannot find the package ${found}; install it beside the file`;
}
