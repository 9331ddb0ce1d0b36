import { type ArgsDef, type CommandDef, defineCommand, renderUsage } from "citty";
import { version } from "../version.ts";
import { type CommandEntry, commands } from "./commands.ts";

const description = "An HTTP load balancer in one executable";

/** The help of the whole program, or of the commands whose names begin so. Loads no command. */
export async function renderRootHelp(prefix = ""): Promise<string> {
  const visible = Object.entries(commands).filter(
    ([name, { hidden }]) => !hidden && name.startsWith(prefix),
  );
  const root = defineCommand({
    meta: { name: "leastwise", description, version },
    subCommands: Object.fromEntries(
      visible.map(([name, entry]) => [
        name,
        defineCommand({ meta: { name, description: entry.description } }),
      ]),
    ),
  });
  const usage = await renderUsage(root);
  if (prefix !== "") {
    const examples = visible.flatMap(([, entry]) => entry.examples.slice(0, 1));
    return `${usage}\n\n${renderExamples(examples)}`;
  }
  return `${usage}\n\n${renderExamples([
    ...(commands["serve"]?.examples.slice(0, 1) ?? []),
    ["leastwise demo", "See the difference a strategy makes"],
    ["leastwise help serve", "The flags of serve"],
  ])}`;
}

/** The help of one command. */
export async function renderCommandHelp(
  name: string,
  entry: CommandEntry,
  command: CommandDef<ArgsDef>,
): Promise<string> {
  const shown: CommandDef<ArgsDef> = { ...command, meta: { name, description: entry.description } };
  const usage = await renderUsage(shown, defineCommand({ meta: { name: "leastwise", version } }));
  return `${usage.trimEnd()}\n\n${renderExamples(entry.examples)}`;
}

/** citty colours its help also into a file. */
export function fitStream(
  text: string,
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): string {
  const coloured = stream.isTTY === true && !env["NO_COLOR"] && env["TERM"] !== "dumb";
  const shown = coloured ? text : Bun.stripANSI(text);
  // citty fills its columns up with spaces.
  return shown.replace(/[ \t]+$/gm, "");
}

function renderExamples(examples: CommandEntry["examples"]): string {
  const lines = examples.map(([command, effect]) => `  ${command}\n      ${effect}`);
  return `\u001B[4m\u001B[1mEXAMPLES\u001B[22m\u001B[24m\n\n${lines.join("\n\n")}\n`;
}
