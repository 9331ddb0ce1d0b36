import packageJson from "../../package.json" with { type: "json" };
import { importBundle } from "../config/import-bundle.ts";
import { ConfigError, type Problem } from "../errors.ts";
import type { StrategyPlugin } from "../plugin.ts";
import { builtInNames, findBuiltIn } from "./built-in.ts";
import { describeThrown, describeValue } from "../config/describe.ts";
import type { StrategyModule } from "./module.ts";
import { locateThrown } from "./source-position.ts";

/**
 * The plugin that a module holds. A file's top level runs here, so this belongs in a worker or in
 * the evaluating child. Throws ConfigError when there is none, with every fault of its shape.
 */
export async function loadPlugin(module: StrategyModule): Promise<StrategyPlugin<unknown>> {
  if (module.kind === "built-in") {
    const plugin = findBuiltIn(module.name);
    if (plugin !== undefined) return plugin;
    const message = `no such strategy, the built-in ones are ${builtInNames.join(", ")}`;
    throw new ConfigError([{ path: module.name, message }]);
  }
  let namespace: { readonly default?: unknown };
  try {
    namespace = await importBundle(module.path);
  } catch (thrown) {
    const path = await locateThrown(thrown, module);
    const message = `threw while it was loaded: ${describeThrown(thrown)}`;
    throw new ConfigError([{ path, message }], { cause: thrown });
  }
  return checkShape(namespace, module.source);
}

/** Shown wherever the strategy is named: the bundle's hash, or the program's version. */
export function versionOf(module: StrategyModule): string {
  return module.kind === "file" ? module.version : packageJson.version;
}

const NAME = /^[A-Za-z0-9-]+$/;

function checkShape(
  namespace: { readonly default?: unknown },
  path: string,
): StrategyPlugin<unknown> {
  if (!("default" in namespace)) {
    throw new ConfigError([
      { path, message: "has no default export, but a strategy file exports its plugin as default" },
    ]);
  }
  const plugin = namespace.default;
  if (typeof plugin !== "object" || plugin === null) {
    throw new ConfigError([
      {
        path,
        message:
          `the default export is ${describeValue(plugin)}, ` +
          "but it must be an object with name, apiVersion and create",
      },
    ]);
  }
  const problems = shapeProblems(plugin as Record<string, unknown>).map((message): Problem => ({
    path,
    message,
  }));
  if (problems.length > 0) throw new ConfigError(problems);
  return plugin as StrategyPlugin<unknown>;
}

function shapeProblems(plugin: Record<string, unknown>): string[] {
  const { name, apiVersion, create, parseOptions, description } = plugin;
  const problems: string[] = [];
  if (name === undefined) {
    problems.push("name is missing, it must be letters, digits and -");
  } else if (typeof name !== "string" || !NAME.test(name)) {
    problems.push(`name is ${describeValue(name)}, but it must be letters, digits and -`);
  }
  if (apiVersion !== 1) {
    const found = apiVersion === undefined ? "missing" : describeValue(apiVersion);
    problems.push(`apiVersion is ${found}, but this version of leastwise supports only 1`);
  }
  if (typeof create !== "function") {
    const found = create === undefined ? "missing" : describeValue(create);
    problems.push(`create is ${found}, but it must be a function that returns a strategy`);
  }
  if (parseOptions !== undefined && typeof parseOptions !== "function") {
    problems.push(`parseOptions is ${describeValue(parseOptions)}, but it must be a function`);
  }
  if (description !== undefined && typeof description !== "string") {
    problems.push(`description is ${describeValue(description)}, but it must be text`);
  }
  return problems;
}
