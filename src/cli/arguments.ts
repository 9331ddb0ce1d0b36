import type { ArgDef, ArgsDef } from "citty";
import { didYouMean } from "../config/suggest.ts";
import type { Problem } from "../errors.ts";

/** Command-line arguments by the flag's full name, each value as typed, in the order given. */
export interface Arguments {
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly problems: readonly Problem[];
}

/**
 * Reads arguments as citty does, but strictly: citty lets unknown flags pass, keeps only the last of
 * repeated ones and takes a flag for the value of the one before it.
 */
export function readArguments(
  rawArgs: readonly string[],
  definitions: ArgsDef,
  repeatable: readonly string[] = [],
): Arguments {
  const values = new Map<string, string[]>();
  const problems: Problem[] = [];
  const places = Object.entries(definitions).filter(([, arg]) => arg.type === "positional");
  const isOpen = places.some(([name]) => repeatable.includes(name));
  const positionals = isOpen ? Infinity : places.length;
  let positional = 0;

  for (let index = 0; index < rawArgs.length; index++) {
    const arg = rawArgs[index] ?? "";
    if (arg === "--") break;
    if (!arg.startsWith("-") || arg === "-") {
      positional++;
      if (positional > positionals) {
        problems.push({ path: arg, message: describeStray(arg, definitions) });
      }
      continue;
    }
    const { flag, inline } = splitFlag(arg);
    const known = findFlag(flag, definitions);
    if (!known) {
      problems.push({ path: flag, message: describeUnknown(flag, definitions) });
      // What follows is most likely its value, and no second mistake.
      if (inline === undefined && isValue(rawArgs[index + 1])) index++;
      continue;
    }
    let value = inline;
    if (known.definition.type === "boolean") {
      if (inline !== undefined && inline !== "true" && inline !== "false") {
        problems.push({ path: flag, message: `found ${JSON.stringify(inline)}, allowed no value` });
      }
      value ??= flag.startsWith("--no-") ? "false" : "true";
    } else if (value === undefined) {
      const next = rawArgs[index + 1];
      if (isValue(next)) {
        value = next;
        index++;
      }
    }
    if (value === undefined || value === "") {
      const hint = known.definition.valueHint ?? known.name.toUpperCase();
      problems.push({ path: flag, message: `needs a value: ${flag} ${hint}` });
      continue;
    }
    const list = values.get(known.name) ?? [];
    if (list.length > 0 && !repeatable.includes(known.name)) {
      problems.push({ path: flag, message: "given more than once, allowed once" });
    }
    values.set(known.name, [...list, value]);
  }
  return { values, problems };
}

interface KnownFlag {
  readonly name: string;
  readonly definition: ArgDef;
}

function splitFlag(arg: string): { readonly flag: string; readonly inline: string | undefined } {
  const equals = arg.indexOf("=");
  if (!arg.startsWith("--") || equals === -1) return { flag: arg, inline: undefined };
  return { flag: arg.slice(0, equals), inline: arg.slice(equals + 1) };
}

function findFlag(flag: string, definitions: ArgsDef): KnownFlag | null {
  for (const [name, definition] of Object.entries(definitions)) {
    if (definition.type === "positional") continue;
    const aliases = "alias" in definition ? [definition.alias ?? []].flat() : [];
    const forms = [name, ...aliases].map((form) => (form.length === 1 ? `-${form}` : `--${form}`));
    if (definition.type === "boolean") forms.push(`--no-${name}`);
    if (forms.includes(flag)) return { name, definition };
  }
  return null;
}

/** A flag is never another flag's value; a negative number may be. */
function isValue(arg: string | undefined): boolean {
  return arg !== undefined && (!arg.startsWith("-") || /^-[0-9]/.test(arg));
}

function describeUnknown(flag: string, definitions: ArgsDef): string {
  const flags = Object.entries(definitions)
    .filter(([, { type }]) => type !== "positional")
    .map(([name]) => `--${name}`);
  const allowed = [...flags, "--help"];
  if (["--port", "-p"].includes(flag) && flags.includes("--listen")) {
    return `unknown flag, allowed ${allowed.join(", ")}; did you mean "--listen"?`;
  }
  return `unknown flag, allowed ${allowed.join(", ")}${didYouMean(flag, allowed)}`;
}

function describeStray(arg: string, definitions: ArgsDef): string {
  const meant = meantBy(arg, definitions);
  return `unexpected argument; ${meant === null ? "values follow their flag" : `did you mean ${meant}?`}`;
}

/** A value whose flag was left out, if it looks like that of one. */
function meantBy(arg: string, definitions: ArgsDef): string | null {
  if ("backend" in definitions) {
    if (/^(http:\/\/|unix:)/.test(arg)) return `--backend ${arg}`;
    if (/^[^/\s]+:[0-9]+$/.test(arg)) return `--backend http://${arg}`;
  }
  const isFile = /\.([cm]?[jt]s|json[c5]?|ya?ml|toml)$/.test(arg);
  return isFile && "config" in definitions ? `--config ${arg}` : null;
}
