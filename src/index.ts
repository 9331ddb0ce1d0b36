/** What `import … from "leastwise"` gives to strategies and config files. */
import type { StrategyDefinition, StrategyPlugin } from "./plugin.ts";
import type { UserConfig } from "./config/user-config.ts";

export type * from "./plugin.ts";
export type { UserConfig } from "./config/user-config.ts";

/**
 * Gives a strategy file its types; returns what it was given. With `parseOptions`, its result is
 * the type of `env.options`.
 */
export function defineStrategy<Options = void>(
  plugin: StrategyDefinition<Options>,
): StrategyPlugin<Options> {
  return plugin;
}

/** Gives a config file its types; returns what it was given. */
export function defineConfig(config: UserConfig): UserConfig {
  return config;
}
