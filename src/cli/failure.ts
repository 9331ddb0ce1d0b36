import { ConfigError, RuntimeError } from "../errors.ts";
import { version } from "../version.ts";
import { commands } from "./commands.ts";
import { printable } from "./printable.ts";

/** 1: the machine refused at run time. 2: usage or configuration. 70: a bug of ours (EX_SOFTWARE). */
export function exitCodeOf(thrown: unknown): number {
  if (thrown instanceof ConfigError) return 2;
  return thrown instanceof RuntimeError ? 1 : 70;
}

/** What a person is told, without a stack unless it is a bug. `command` is what was typed first. */
export function renderFailure(thrown: unknown, command: string | undefined): string {
  if (thrown instanceof ConfigError) {
    const { problems } = thrown;
    const lines = problems.map(({ path, message }) => printable(`  ${path}: ${message}`));
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    const where = thrown.file === null ? "" : ` in ${printable(thrown.file)}`;
    return `leastwise: ${count}${where}\n${lines.join("\n")}\n${hint(problems, command)}`;
  }
  if (thrown instanceof RuntimeError) return `leastwise: ${printable(thrown.message)}\n`;
  const stack = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return `leastwise ${version}: a bug of leastwise, not of your configuration\n${stack}\n`;
}

function hint(problems: ConfigError["problems"], command: string | undefined): string {
  const isUsage = problems.some(
    ({ path, message }) => path.startsWith("-") || /^un(known|expected) [acf]/.test(message),
  );
  if (!isUsage) return "";
  const known = command !== undefined && Object.hasOwn(commands, command);
  return `Try: leastwise ${known ? `${command} ` : ""}--help\n`;
}
