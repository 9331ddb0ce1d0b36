import { type ArgsDef, type CommandDef, runCommand } from "citty";
import { didYouMean } from "../config/suggest.ts";
import { ConfigError } from "../errors.ts";
import { readArguments } from "./arguments.ts";
import { commandNames, commands } from "./commands.ts";
import { exitCodeOf, renderFailure } from "./failure.ts";
import { fitStream, renderCommandHelp, renderRootHelp } from "./help.ts";
import { watchStderr, watchStdout } from "./output.ts";
import { printVersion } from "./version.ts";

/**
 * Runs the command line. Never throws: what goes wrong is told on stderr and becomes the exit code,
 * 1 for what the machine refused, 2 for a mistake in usage or configuration, 70 for a bug of ours.
 */
export async function main(args: readonly string[]): Promise<void> {
  watchStderr();
  // A server goes on whatever becomes of its output.
  if (args[0] !== "serve" || asksForHelp(args)) watchStdout();
  try {
    await dispatch(args);
  } catch (thrown) {
    process.stderr.write(renderFailure(thrown, joinCommand(args)[0]));
    process.exitCode = exitCodeOf(thrown);
  }
}

async function dispatch(args: readonly string[]): Promise<void> {
  const [name, ...rest] = joinCommand(args);
  if (name === undefined) {
    // A missing command is a mistake: a container or unit file without one must not look finished.
    process.stderr.write(fitStream(await renderRootHelp(), process.stderr, process.env));
    process.exitCode = 2;
    return;
  }
  if (name === "--help" || name === "-h") return await printHelp(undefined);
  if (name === "--version" || name === "-v") return printVersion();
  if (name === "help") return await printHelp(joinCommand(rest)[0]);
  if (name.startsWith("-")) {
    const flags = ["--help", "--version"];
    const hint = didYouMean(name, flags) || "; flags follow the command, such as leastwise serve";
    throw new ConfigError([{ path: name, message: `unknown flag${hint}` }]);
  }
  if (isGroup(name) && asksForHelp(rest)) return await printHelp(name);
  const { entry, command } = await loadCommand(name);
  if (asksForHelp(rest)) return await printHelp(name);
  const definitions = await resolveArgs(command);
  const { problems } = readArguments(rest, definitions, entry.repeatable);
  if (problems.length > 0) throw new ConfigError(problems);
  await runCommand(command, { rawArgs: rest });
}

/** `plugin check` is one command with a name of two words. */
function joinCommand(args: readonly string[]): readonly string[] {
  const [group, name, ...rest] = args;
  if (group === undefined || !isGroup(group)) return args;
  return name === undefined || name.startsWith("-") ? args : [`${group} ${name}`, ...rest];
}

function isGroup(name: string): boolean {
  return commandNames.some((known) => known.startsWith(`${name} `));
}

async function printHelp(name: string | undefined): Promise<void> {
  let text: string;
  if (name === undefined || name.startsWith("-")) text = await renderRootHelp();
  else if (isGroup(name)) text = await renderRootHelp(`${name} `);
  else {
    const { entry, command } = await loadCommand(name);
    text = await renderCommandHelp(name, entry, command);
  }
  process.stdout.write(fitStream(text, process.stdout, process.env));
}

async function loadCommand(name: string) {
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!entry) {
    throw new ConfigError([{ path: name, message: describeUnknown(name) }]);
  }
  return { entry, command: (await entry.load()).default as CommandDef<ArgsDef> };
}

function describeUnknown(name: string): string {
  const [group = ""] = name.split(" ");
  const siblings = commandNames.filter((known) => known.startsWith(`${group} `));
  if (name === group && siblings.length > 0) return `is one of ${siblings.join(", ")}`;
  const groups = new Set(commandNames.map((known) => known.split(" ")[0] ?? known));
  const allowed = siblings.length > 0 ? siblings : [...groups];
  return `unknown command, allowed ${allowed.join(", ")}${didYouMean(name, allowed)}`;
}

async function resolveArgs(command: CommandDef<ArgsDef>): Promise<ArgsDef> {
  const { args } = command;
  return (await (typeof args === "function" ? args() : args)) ?? {};
}

function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return (end === -1 ? args : args.slice(0, end)).some((arg) => arg === "--help" || arg === "-h");
}
