import type { Config } from "../config/config.ts";
import { countCpus } from "../config/cpus.ts";
import { attribute, mergeSettings, overlay, type ServeFlags } from "../config/overlay.ts";
import {
  findShadows,
  findStrategies,
  findStrategyFiles,
  type NamedStrategy,
  resolveConfig,
} from "../config/resolve.ts";
import { overlayTelemetry } from "../config/telemetry-environment.ts";
import { ConfigError, type Problem } from "../errors.ts";
import { builtInNames } from "../strategy/built-in.ts";
import { evaluateStrategy } from "../strategy/evaluate.ts";
import type { StrategyModule } from "../strategy/module.ts";
import { telemetryProblems, telemetryWarnings } from "../telemetry/export-targets.ts";
import {
  evaluateConfigFile,
  type EvaluatedStrategy,
  type EvaluationOptions,
  evaluateStrategyConfig,
} from "./evaluation.ts";

export interface ProvisionInput extends EvaluationOptions {
  readonly flags: ServeFlags;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Private folder for bundles; the workers import strategies from there, so it outlives this call. */
  readonly tempDir: string;
  /** For what is no mistake but probably not meant. */
  readonly warn?: (message: string) => void;
  /** What `workers: "auto"` stands for. Default: as many as this process may use processors. */
  readonly cpus?: number;
  /**
   * Told of the files that this is made of, absolute, also when it fails: the config file, the
   * strategies, and what they import.
   */
  readonly onFile?: (file: string) => void;
}

export interface Provisioned {
  readonly config: Config;
  /** Absolute; null when there is none. */
  readonly configFile: string | null;
  /** By pool. */
  readonly strategies: Readonly<Record<string, EvaluatedStrategy>>;
  /** By pool, in the order of its `shadow`; pools without are left out. */
  readonly shadows: Readonly<Record<string, readonly EvaluatedStrategy[]>>;
}

/** Children at a time; each has a deadline that a crowd would make it miss. */
const parallelEvaluations = 4;

/**
 * From flags, environment and file to everything a run needs, with every strategy tried out.
 * Starts nothing and binds nothing; the user's code runs in children only.
 *
 * @throws {ConfigError} with every problem that can be seen. Only a config file that cannot be read
 * hides the rest.
 */
export async function provision(input: ProvisionInput): Promise<Provisioned> {
  const { cwd, tempDir } = input;
  const settings = mergeSettings(input.flags, input.env);
  const loaded = await evaluateConfigFile({ file: settings.flags.config, cwd, tempDir }, input);
  const configFile = loaded?.file ?? null;
  for (const source of loaded?.sources ?? []) input.onFile?.(source);
  if (loaded && loaded.passedOver.length > 0) {
    const others = loaded.passedOver.join(", ");
    input.warn?.(`${loaded.file} is used; ${others} beside it are passed over`);
  }
  const laid = overlay(loaded?.raw, settings, { cwd, file: configFile });
  const told = overlayTelemetry(laid.raw, input.env, cwd);
  const origins = new Map([...laid.origins, ...told.origins]);
  const context = {
    baseDir: laid.baseDir,
    configDir: laid.configDir,
    cpus: input.cpus ?? countCpus(),
    platform: process.platform,
    strategies: builtInNames,
  };

  for (const file of findStrategyFiles(laid.raw, context)) input.onFile?.(file);

  const problems: Problem[] = [...laid.problems, ...told.problems];
  let config: Config | null = null;
  let keysAreWrong = false;
  try {
    config = resolveConfig(told.raw, context);
    const unreadable = telemetryProblems(config.telemetry, told.raw);
    problems.push(...unreadable.map((problem) => attribute(problem, origins)));
  } catch (thrown) {
    const found = problemsOf(thrown);
    const attributed = found.map((problem) => attribute(problem, origins));
    keysAreWrong = attributed.some((problem, index) => problem.path === found[index]?.path);
    problems.push(...attributed);
  }
  if (settings.flags.backend === undefined && !hasPools(loaded?.raw)) {
    const missing = noBackend(configFile);
    // Instead of what the schema says about it, which knows of no flags.
    const others = problems.filter(({ path }) => path !== "pools" && path !== "--backend");
    problems.splice(0, problems.length, missing, ...others);
  }
  const strategies: Record<string, EvaluatedStrategy> = {};
  const shadows: Record<string, EvaluatedStrategy[]> = {};
  const found: readonly (NamedStrategy & { readonly index?: number })[] = [
    ...findStrategies(laid.raw, context),
    ...findShadows(laid.raw, context),
  ];
  for (let start = 0; start < found.length; start += parallelEvaluations) {
    await Promise.all(
      found.slice(start, start + parallelEvaluations).map(async (named) => {
        try {
          const evaluated = await evaluateNamed(named, input, config?.watchdogMs ?? null);
          if (named.index === undefined) strategies[named.pool] = evaluated;
          else (shadows[named.pool] ??= [])[named.index] = evaluated;
        } catch (thrown) {
          problems.push(...problemsOf(thrown).map((problem) => attribute(problem, laid.origins)));
        }
      }),
    );
  }
  if (config === null || problems.length > 0) {
    throw new ConfigError(withoutRepeats(problems), { file: keysAreWrong ? configFile : null });
  }
  for (const warning of telemetryWarnings(config.telemetry, input.env)) input.warn?.(warning);
  return { config, configFile, strategies, shadows };
}

async function evaluateNamed(
  { strategy, path }: NamedStrategy,
  input: ProvisionInput,
  watchdogMs: number | null,
): Promise<EvaluatedStrategy> {
  if (strategy.kind === "file") {
    const options = { ...input, watchdogMs };
    const evaluated = await evaluateStrategyConfig(strategy, input.tempDir, options);
    for (const source of evaluated.sources) input.onFile?.(source);
    return evaluated;
  }
  const module: StrategyModule = { kind: "built-in", name: strategy.name };
  try {
    return { module, description: await evaluateStrategy(module, strategy.options), sources: [] };
  } catch (thrown) {
    // There is no file of the user's to name: where the config asks for it is the place.
    throw new ConfigError(
      problemsOf(thrown).map(({ path: place, message }) => ({
        path: place.endsWith(".options") ? path.replace(/\.use$/, ".options") : path,
        message,
      })),
    );
  }
}

function noBackend(configFile: string | null): Problem {
  return configFile === null
    ? {
        path: "--backend",
        message:
          "no backend is given; name one, such as --backend http://127.0.0.1:3000, or write pools in leastwise.config.ts",
      }
    : {
        path: "pools",
        message: `no backend is given; write pools in ${configFile}, or name one with --backend`,
      };
}

function hasPools(raw: unknown): boolean {
  if (raw === undefined) return false;
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return true;
  const pools = "pools" in raw ? raw.pools : undefined;
  if (pools === undefined) return false;
  return typeof pools !== "object" || pools === null || Object.keys(pools).length > 0;
}

/** Anything but a ConfigError is not the user's mistake. */
function problemsOf(thrown: unknown): readonly Problem[] {
  if (thrown instanceof ConfigError) return thrown.problems;
  throw thrown;
}

/** Two pools with the same broken file have one mistake. */
function withoutRepeats(problems: readonly Problem[]): Problem[] {
  const seen = new Map(problems.map((problem) => [`${problem.path}: ${problem.message}`, problem]));
  return [...seen.values()];
}
