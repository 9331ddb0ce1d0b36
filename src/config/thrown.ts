import type { Problem } from "../errors.ts";
import { describeThrown } from "./describe.ts";

/** What a user's file threw, as a problem that says where, if that is known. */
export function locateThrown(thrown: unknown, file: string, when = "threw at top level"): Problem {
  return {
    path: (thrown instanceof Error ? findFrame(thrown) : null) ?? file,
    message: `${when}: ${describeThrown(thrown)}`,
  };
}

/** The innermost `file:line:column`; a bundle's source map has made the user's file of it. */
function findFrame(error: Error): string | null {
  for (const line of error.stack?.split("\n") ?? []) {
    const frame = /\(?((?:\/|[A-Za-z]:[\\/])[^()]*:[0-9]+:[0-9]+)\)?$/.exec(
      line.replace(/^\s*at /, ""),
    );
    if (frame?.[1] !== undefined) return frame[1];
  }
  return null;
}

/**
 * What a parser of a data format refused. The formats' parsers each tell the place in their own way,
 * some of them only inside the message.
 */
export function describeSyntaxError(thrown: unknown, file: string): Problem {
  if (!(thrown instanceof Error)) return { path: file, message: String(thrown) };
  // An empty YAML file is parsed to nothing, which c12 then reads properties of.
  if (thrown instanceof TypeError) return { path: file, message: "is empty, allowed an object" };
  const message = thrown.message.split("\n", 1)[0] ?? "";
  const { mark } = thrown as { mark?: { line: number; column: number } };
  if (mark) {
    const reason = message.replace(/ \([0-9]+:[0-9]+\)$/, "");
    return { path: `${file}:${mark.line + 1}:${mark.column + 1}`, message: reason };
  }
  const json5 = /^JSON5: (.*) at ([0-9]+):([0-9]+)$/.exec(message);
  if (json5) return { path: `${file}:${json5[2]}:${json5[3]}`, message: json5[1] ?? message };
  const { codeblock, line, column } = thrown as {
    codeblock?: string;
    line?: number;
    column?: number;
  };
  if (codeblock !== undefined && line !== undefined) {
    const reason = message.replace(/^Invalid TOML document: /, "");
    return { path: `${file}:${line}:${column ?? 1}`, message: reason };
  }
  return { path: file, message };
}
