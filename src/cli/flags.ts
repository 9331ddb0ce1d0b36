import type { ArgsDef } from "citty";
import { type ServeFlags, splitList, WATCH_VARIABLE } from "../config/overlay.ts";
import { ConfigError } from "../errors.ts";
import { readArguments } from "./arguments.ts";

/** What `serve` and `check` have in common. The help of each names its environment variable. */
export const serveArgs = {
  config: {
    type: "string",
    alias: "c",
    valueHint: "FILE",
    description:
      "Config file; leastwise.config.{ts,js,json,yaml,toml,…} of this folder unless given",
  },
  listen: {
    type: "string",
    valueHint: "HOST:PORT",
    description: "Where clients connect, 0.0.0.0:8080 unless given; may be repeated or a,b",
  },
  backend: {
    type: "string",
    valueHint: "URL[;weight=N]",
    description: "http://host:port or unix:/path of a backend; may be repeated or a,b",
  },
  strategy: {
    type: "string",
    valueHint: "NAME|FILE",
    description: "How backends are picked, least-connections unless given; ./mine.ts is a file",
  },
  admin: {
    type: "string",
    valueHint: "HOST:PORT",
    description: "Address of the admin API, 127.0.0.1:9900 unless given",
  },
  workers: {
    type: "string",
    valueHint: "N",
    description: "Processes that serve traffic; auto (one per processor, on Linux) unless given",
  },
} as const satisfies ArgsDef;

/** `check` has no use for it. */
export const watchArgs = {
  watch: {
    type: "boolean",
    description: "Reload whenever the config file, a strategy or a file that they import changes",
  },
} as const satisfies ArgsDef;

/** `given`: undefined where the flag was not typed. */
export function readWatch(
  given: boolean | undefined,
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  const value = env[WATCH_VARIABLE];
  if (given !== undefined || value === undefined || value === "") return given ?? false;
  if (value === "true" || value === "false") return value === "true";
  const message = `found ${JSON.stringify(value)}, allowed true or false`;
  throw new ConfigError([{ path: WATCH_VARIABLE, message }]);
}

/** Reads `serve`'s flags as typed. */
export function readServeFlags(rawArgs: readonly string[], extra: ArgsDef = {}): ServeFlags {
  const { values, problems } = readArguments(rawArgs, { ...serveArgs, ...extra }, [
    "listen",
    "backend",
  ]);
  if (problems.length > 0) throw new ConfigError(problems);
  const last = (name: keyof typeof serveArgs): string | undefined => values.get(name)?.at(-1);
  return {
    config: last("config"),
    listen: values.get("listen")?.flatMap(splitList),
    backend: values.get("backend")?.flatMap(splitList),
    strategy: last("strategy"),
    admin: last("admin"),
    workers: last("workers"),
  };
}
