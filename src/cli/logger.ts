import { createConsola, LogLevels } from "consola";
import type { LogFields, Logger } from "../log.ts";

export interface LogTarget {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

export interface LoggerOptions {
  /** Default: stderr. */
  readonly stream?: LogTarget;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default: the wall clock. */
  readonly now?: () => Date;
}

/** People get lines to read, programs one JSON object per line: `{"time","level","message",…fields}`. */
export function createLogger({
  stream = process.stderr,
  env = process.env,
  now = () => new Date(),
}: LoggerOptions = {}): Logger {
  const write = stream.isTTY === true ? humanWriter(env) : jsonWriter(stream, now);
  return {
    debug: (message, fields) => write("debug", message, fields),
    info: (message, fields) => write("info", message, fields),
    warn: (message, fields) => write("warn", message, fields),
    error: (message, fields) => write("error", message, fields),
  };
}

type Level = "debug" | "info" | "warn" | "error";
type Write = (level: Level, message: string, fields: LogFields | undefined) => void;

/** `debug` is left out of both: it is for tests and tracing, and nobody has asked for it. */
function jsonWriter(stream: LogTarget, now: () => Date): Write {
  return (level, message, fields) => {
    if (level === "debug") return;
    // Our own keys last: a field named "level" must not pretend to be one.
    const entry = { time: "", level: "", message: "", ...fields };
    Object.assign(entry, { time: now().toISOString(), level, message });
    stream.write(`${JSON.stringify(entry)}\n`);
  };
}

function humanWriter(env: Readonly<Record<string, string | undefined>>): Write {
  const colors = !env["NO_COLOR"] && env["TERM"] !== "dumb";
  const options = {
    level: LogLevels.info,
    // Known to consola on the server only, while the types that are found are the browser's.
    fancy: colors,
    formatOptions: { colors, date: true, compact: true },
    // stdout is for data.
    stdout: process.stderr,
    stderr: process.stderr,
  };
  const consola = createConsola(options);
  return (level, message, fields) => {
    const details = Object.entries(fields ?? {}).map(
      ([key, value]) => `${key}=${showField(value)}`,
    );
    consola[level]([message, ...details].join("  "));
  };
}

function showField(value: LogFields[string]): string {
  return typeof value === "string" && /[\s"=]/.test(value) ? JSON.stringify(value) : String(value);
}
