import * as pluginApi from "../../plugin.ts" with { type: "text" };
import * as indexSource from "../../index.ts" with { type: "text" };
import * as configApi from "../../config/user-config.ts" with { type: "text" };
import * as testingApi from "../../testing-api.ts" with { type: "text" };
import testRunner from "./test-runner.txt" with { type: "text" };
import { version } from "../../version.ts";
import { testingModule } from "./testing-module.ts";

/** Below the author's folder. */
export const API_FOLDER = ".leastwise";

/** Files by their name in `.leastwise/`. */
export type ApiFiles = Readonly<Record<string, string>>;

/** What an editor and a type checker need; plain text, so that nothing has to be installed. */
export function apiTypes(): ApiFiles {
  return mapText({
    "plugin.d.ts": asText(pluginApi),
    "user-config.d.ts": asText(configApi),
    "index.d.ts": declareFunctions(asText(indexSource)),
    "testing.d.ts": asText(testingApi),
    "test-runner.d.ts": testRunner,
    "bun-test.d.ts": BUN_TEST,
  });
}

/** What `import … from "leastwise"` and `"leastwise/testing"` run, under any Bun. */
export async function apiModules(): Promise<ApiFiles> {
  return { "index.js": INDEX, "testing.js": await testingModule() };
}

/** Of a tsconfig.json that lies `prefix` above the API's folder. */
export function apiPaths(prefix: string): Readonly<Record<string, readonly string[]>> {
  return {
    leastwise: [`${prefix}/index`],
    "leastwise/testing": [`${prefix}/testing`],
    "leastwise/test-runner": [`${prefix}/test-runner`],
  };
}

const HEADER = `// Written by leastwise ${version}; leastwise plugin init writes it anew.\n`;

const INDEX = `${HEADER}export const defineConfig = (config) => config;
export const defineStrategy = (plugin) => plugin;
`;

/** With `export *` the real declarations win where @types/bun is installed. */
const BUN_TEST = `declare module "bun:test" {
  export * from "leastwise/test-runner";
}
`;

/** The type checker takes the import for the module that the file is; what is embedded is its text. */
function asText(file: object): string {
  return (file as { readonly default: string }).default;
}

function mapText(files: ApiFiles): ApiFiles {
  return Object.fromEntries(
    Object.entries(files).map(([name, text]) => [name, HEADER + asDeclarations(text)]),
  );
}

/** Imports name the files that lie beside. */
function asDeclarations(source: string): string {
  return source.replaceAll(/from "\.\/(?:config\/)?([\w-]+)\.ts"/g, 'from "./$1.d.ts"');
}

/** Functions that return what they are given, without their bodies. */
function declareFunctions(source: string): string {
  return source.replaceAll(
    /^export function ([^]*?) \{\n {2}return \w+;\n\}/gm,
    "export declare function $1;",
  );
}
