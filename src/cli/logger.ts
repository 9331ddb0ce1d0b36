import { createConsola, LogLevels } from "consola";
import type { LogFields, Logger } from "../log.ts";
import { printable } from "./printable.ts";
import { paint, terminalStyle } from "./demo/terminal.ts";

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
  const write = stream.isTTY === true ? humanWriter(stream, env, now) : jsonWriter(stream, now);
  const consola = createConsola({
    // `debug` is for tests and tracing, and nobody has asked for it.
    level: LogLevels.info,
    // Equal lines in a row are told one by one: what was dropped would have to be told as well.
    throttle: 0,
    // consola's own formats are for build tools: several lines an event, and no fields.
    reporters: [
      {
        log({ type, args: [message, fields] }) {
          write(type as Level, String(message), fields as LogFields | undefined);
        },
      },
    ],
  });
  return {
    debug: (message, fields) => consola.debug(message, fields),
    info: (message, fields) => consola.info(message, fields),
    warn: (message, fields) => consola.warn(message, fields),
    error: (message, fields) => consola.error(message, fields),
  };
}

type Level = "info" | "warn" | "error";
type Write = (level: Level, message: string, fields: LogFields | undefined) => void;

function jsonWriter(stream: LogTarget, now: () => Date): Write {
  return (level, message, fields) => {
    // Our own keys last: a field named "level" must not pretend to be one.
    const entry = { time: "", level: "", message: "", ...fields };
    Object.assign(entry, { time: now().toISOString(), level, message });
    stream.write(`${JSON.stringify(entry)}\n`);
  };
}

/** `15:04:05 warn  backend is down              pool=web backend=a:1`: what is alike stands below each other. */
function humanWriter(
  stream: LogTarget,
  env: Readonly<Record<string, string | undefined>>,
  now: () => Date,
): Write {
  const style = terminalStyle(stream, env);
  return (level, message, fields) => {
    const details = Object.entries(fields ?? {})
      // Nothing to read.
      .filter(([, value]) => value !== null)
      .map(([key, value]) => `${paint(style, "dim", `${key}=`)}${showField(value)}`);
    const text = printable(joinLines(message));
    const parts = [
      paint(style, "dim", clockTime(now())),
      paint(style, COLOURS[level], level.padEnd(5)),
      details.length === 0 ? text : text.padEnd(MESSAGE_WIDTH),
      ...details,
    ];
    stream.write(`${parts.join(" ")}\n`);
  };
}

const COLOURS = { info: "green", warn: "yellow", error: "red" } as const;
/** The usual messages are shorter. */
const MESSAGE_WIDTH = 28;

/** Local, as on the reader's own clock. */
function clockTime(date: Date): string {
  return [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((part) => String(part).padStart(2, "0"))
    .join(":");
}

function showField(value: LogFields[string]): string {
  if (typeof value !== "string") return String(value);
  const text = joinLines(value);
  return printable(text === "" || /[\s"=]/.test(text) ? JSON.stringify(text) : text);
}

function joinLines(text: string): string {
  return text.replace(/\s*[\r\n]\s*/g, " ");
}
