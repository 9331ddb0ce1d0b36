import { posix } from "node:path";
import { findImports, findWord, type SourceImport } from "./source-imports.ts";

/** Path from the root of the repository (with `/`) to the file's text. */
export type Sources = ReadonlyMap<string, string>;

/**
 * Who may know whom: a layer imports itself and those with a lower number. Equal numbers do not know
 * each other: strategy and transport meet in the attempt loop, errors and log need nobody.
 */
const LAYERS: Readonly<Record<string, number>> = {
  plugin: 0,
  plugins: 1,
  errors: 1,
  log: 1,
  version: 1,
  "testing-api": 1,
  config: 2,
  index: 3,
  pool: 3,
  strategy: 4,
  transport: 4,
  balance: 5,
  testing: 5,
  simulate: 6,
  health: 6,
  proxy: 7,
  telemetry: 8,
  admin: 8,
  process: 9,
  cli: 10,
};

/** Files that stand apart: the build script uses no part of the program. */
const APART = new Set(["src/build.ts"]);

/** Where Bun's own API may be used; everything else is web standards and runs elsewhere too. */
const RUNTIME = [
  "src/transport/",
  "src/health/",
  "src/proxy/serve-front.ts",
  "src/admin/",
  "src/process/",
  "src/cli/",
  "src/cli.ts",
  "src/build.ts",
  "src/config/bundle.ts",
  "src/config/load.ts",
  "src/pool/shared-memory.ts",
];

/** Every break of the rules of layout, as `file:line: what is wrong`; empty when there is none. */
export function checkArchitecture(sources: Sources): string[] {
  const imports = new Map([...sources].map(([file, text]) => [file, findImports(text)]));
  const problems = [...sources].flatMap(([file, text]) => [
    ...(imports.get(file) ?? []).flatMap((found) => {
      const problem = checkImport(file, found, sources);
      return problem === null ? [] : [`${file}:${found.line}: ${problem}`];
    }),
    ...checkRuntime(file, text, imports.get(file) ?? []),
  ]);
  return [...problems, ...checkSingle("@opentelemetry/sdk-node", imports), ...checkCycles(imports)];
}

function checkImport(file: string, found: SourceImport, sources: Sources): string | null {
  const { specifier, typeOnly } = found;
  const target = resolve(file, specifier);
  const fromPlugin = file.startsWith("plugins/");
  if (target === null) {
    if (fromPlugin) return `a strategy imports nothing but types and files beside it: ${specifier}`;
    if (specifier.startsWith("@opentelemetry/") && layerOf(file) !== "telemetry") {
      return `telemetry is handed in, only src/telemetry/ knows ${specifier}`;
    }
    return null;
  }
  // Data such as package.json knows nobody.
  if (!target.endsWith(".ts")) return null;
  if (fromPlugin) {
    if (posix.dirname(target) === "plugins" || (target === "src/plugin.ts" && typeOnly))
      return null;
    return `a strategy imports types of src/plugin.ts and files beside it, not ${specifier}`;
  }
  if (target.startsWith("plugins/")) return checkUseOfPlugin(file, target, specifier, sources);
  if (APART.has(file) || APART.has(target)) return `src/build.ts stands apart: ${specifier}`;
  return checkDirection(layerOf(file), layerOf(target));
}

/** A strategy has a default export; what strategies share has none, and the host may share it too. */
function checkUseOfPlugin(
  file: string,
  target: string,
  specifier: string,
  sources: Sources,
): string | null {
  if (file === "src/strategy/built-in.ts") return null;
  const isStrategy = findWord(sources.get(target) ?? "export default", "default").length > 0;
  if (isStrategy) return `only src/strategy/built-in.ts knows the strategies, not ${specifier}`;
  return layerOf(file) === "strategy"
    ? null
    : `only src/strategy/ knows plugins/, not ${specifier}`;
}

function checkDirection(from: string, to: string): string | null {
  if (from === to) return null;
  const [own, other] = [LAYERS[from], LAYERS[to]];
  if (own === undefined || other === undefined) {
    return `${own === undefined ? from : to} has no place in the order of layers`;
  }
  return other < own ? null : `${from} must not know ${to}`;
}

function checkRuntime(file: string, text: string, imports: readonly SourceImport[]): string[] {
  if (RUNTIME.some((allowed) => file.startsWith(allowed))) return [];
  const lines = [
    ...findWord(text, "Bun"),
    ...imports.filter((i) => /^bun(?:$|:)/.test(i.specifier)).map((i) => i.line),
  ];
  return lines.map((line) => `${file}:${line}: Bun's own API is used outside the runtime boundary`);
}

function checkSingle(
  specifier: string,
  imports: ReadonlyMap<string, readonly SourceImport[]>,
): string[] {
  const users = [...imports].filter(([, found]) => found.some((i) => i.specifier === specifier));
  if (users.length < 2) return [];
  return [`${users.map(([file]) => file).join(", ")}: only one file may import ${specifier}`];
}

function checkCycles(imports: ReadonlyMap<string, readonly SourceImport[]>): string[] {
  const problems: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]): void => {
    const start = trail.indexOf(file);
    if (start !== -1) {
      problems.push(`${[...trail.slice(start), file].join(" -> ")}: the imports form a cycle`);
      return;
    }
    if (done.has(file)) return;
    for (const { specifier } of imports.get(file) ?? []) {
      const target = resolve(file, specifier);
      if (target !== null) visit(target, [...trail, file]);
    }
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  return problems;
}

/** The path of a relative import from the root of the repository, or null for a package. */
function resolve(file: string, specifier: string): string | null {
  if (!specifier.startsWith(".")) return null;
  return posix.normalize(posix.join(posix.dirname(file), specifier));
}

/** `src/pool/lease.ts` is in `pool`, `src/errors.ts` is `errors`, `plugins/random.ts` is in `plugins`. */
function layerOf(file: string): string {
  const parts = file.split("/");
  return (parts[0] === "src" ? parts[1] : parts[0])?.replace(/\.ts$/, "") ?? file;
}
