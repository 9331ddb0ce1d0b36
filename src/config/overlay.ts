import { dirname } from "node:path";
import type { Problem } from "../errors.ts";
import { show } from "./problem.ts";

/** What `serve` and `check` take on the command line, as typed. Lists hold one entry per value. */
export interface ServeFlags {
  readonly config?: string | undefined;
  readonly listen?: readonly string[] | undefined;
  readonly backend?: readonly string[] | undefined;
  readonly strategy?: string | undefined;
  readonly admin?: string | undefined;
  readonly workers?: string | undefined;
}

/** Flags with where each came from, for messages: `--listen` or `LEASTWISE_LISTEN`. */
export interface Settings {
  readonly flags: ServeFlags;
  readonly origins: Readonly<Partial<Record<keyof ServeFlags, string>>>;
}

export interface Overlaid {
  readonly raw: unknown;
  /** By config path: the flag or variable that put the value there. */
  readonly origins: ReadonlyMap<string, string>;
  readonly problems: readonly Problem[];
  /** What strategy files are relative to: the file's folder, or where the flag with them was typed. */
  readonly baseDir: string;
  /** What other files are relative to: the file's folder. */
  readonly configDir: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

const listFlags = ["listen", "backend"] as const;
const scalarFlags = ["config", "strategy", "admin", "workers"] as const;

/** For `status`: the token of an admin address that is not the config's. A flag would show in `ps`. */
export const ADMIN_TOKEN_VARIABLE = "LEASTWISE_ADMIN_TOKEN";

/** What `--watch` is as a variable: `true` or `false`. */
export const WATCH_VARIABLE = "LEASTWISE_WATCH";

/** A flag wins over its variable. An empty variable counts as not set. */
export function mergeSettings(given: ServeFlags, env: Environment): Settings {
  const flags: Record<string, string | readonly string[]> = {};
  const origins: Partial<Record<keyof ServeFlags, string>> = {};
  for (const name of [...listFlags, ...scalarFlags]) {
    const variable = variableOf(name);
    const flag = given[name];
    const value = env[variable];
    if (flag !== undefined) {
      flags[name] = flag;
      origins[name] = `--${name}`;
    } else if (value !== undefined && value !== "") {
      flags[name] = name === "listen" || name === "backend" ? splitList(value) : value;
      origins[name] = variable;
    }
  }
  return { flags, origins };
}

/** Variables that look like ours and are not: a slip that would otherwise go unnoticed. */
export function findUnknownVariables(env: Environment): string[] {
  return Object.keys(env).filter(
    (name) => name.startsWith("LEASTWISE_") && !knownVariables.includes(name),
  );
}

/** The variables that are read, for help and messages. */
export const knownVariables: readonly string[] = [
  ...[...listFlags, ...scalarFlags].map(variableOf),
  ADMIN_TOKEN_VARIABLE,
  WATCH_VARIABLE,
];

/** `a,b` is two values. */
export function splitList(text: string): string[] {
  return text.split(",").map((part) => part.trim());
}

/** Lays the settings over what the file holds. `file` is for messages; null when there is none. */
export function overlay(
  raw: unknown,
  settings: Settings,
  context: { readonly cwd: string; readonly file: string | null },
): Overlaid {
  const { flags, origins: from } = settings;
  const problems: Problem[] = [];
  const origins = new Map<string, string>();
  const fileDir = context.file === null ? context.cwd : dirname(context.file);
  if (raw !== undefined && (typeof raw !== "object" || raw === null || Array.isArray(raw))) {
    return { raw, origins, problems, baseDir: fileDir, configDir: fileDir };
  }
  const result: Record<string, unknown> = { ...raw };

  if (flags.listen) {
    result["listen"] = flags.listen.map((address) => ({ address }));
    origins.set("listen", from.listen ?? "");
  }
  if (flags.admin !== undefined) {
    const admin = result["admin"];
    result["admin"] = { ...(typeof admin === "object" ? admin : {}), address: flags.admin };
    origins.set("admin.address", from.admin ?? "");
  }
  if (flags.workers !== undefined) {
    result["workers"] = /^[0-9]+$/.test(flags.workers) ? Number(flags.workers) : flags.workers;
    origins.set("workers", from.workers ?? "");
  }
  if (flags.backend || flags.strategy !== undefined) {
    if (result["pools"] !== undefined) {
      for (const name of ["backend", "strategy"] as const) {
        const origin = from[name];
        if (origin === undefined) continue;
        const message = `found together with pools in ${context.file}, allowed one of them`;
        problems.push({ path: origin, message });
      }
    } else {
      result["pools"] = { default: defaultPool(settings, problems) };
      origins.set("pools.default.backends", from.backend ?? "--backend");
      origins.set("pools.default.strategy", from.strategy ?? "--strategy");
    }
  }
  const isTyped = origins.has("pools.default.strategy");
  return {
    raw: result,
    origins,
    problems,
    baseDir: isTyped ? context.cwd : fileDir,
    configDir: fileDir,
  };
}

/** Names the flag or variable where it, and not the file, is to blame. */
export function attribute(problem: Problem, origins: ReadonlyMap<string, string>): Problem {
  for (const [path, origin] of origins) {
    const rest = problem.path.startsWith(path) ? problem.path.slice(path.length) : null;
    if (rest === "" || rest?.startsWith(".") || rest?.startsWith("[")) {
      return { path: origin, message: problem.message };
    }
  }
  return problem;
}

function defaultPool(settings: Settings, problems: Problem[]) {
  const { backend = [], strategy } = settings.flags;
  const origin = settings.origins.backend ?? "--backend";
  const backends = backend.map((text) => parseBackend(text, origin, problems));
  return strategy === undefined ? { backends } : { backends, strategy };
}

/** `URL[;weight=N]`. */
function parseBackend(text: string, origin: string, problems: Problem[]): unknown {
  const [url = "", ...parameters] = text.split(";");
  const backend: Record<string, unknown> = { url };
  for (const parameter of parameters) {
    const weight = /^weight=(.+)$/.exec(parameter)?.[1];
    if (weight !== undefined && weight.trim() !== "" && Number.isFinite(Number(weight))) {
      backend["weight"] = Number(weight);
    } else {
      const message = `found ${show(`;${parameter}`)} after the URL, allowed ;weight= and a number above 0`;
      problems.push({ path: origin, message });
    }
  }
  return backend;
}

function variableOf(flag: string): string {
  return `LEASTWISE_${flag.toUpperCase()}`;
}
