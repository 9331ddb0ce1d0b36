/** One module named by an import, an export … from, a dynamic import() or a type's import(). */
export interface SourceImport {
  readonly specifier: string;
  readonly line: number;
  /** Whole statement erased: `import type … from`, `export type … from`. */
  readonly typeOnly: boolean;
}

/**
 * The imports of a TypeScript file. Bun's own scanner leaves out those of types, and the direction
 * of imports is about what a file knows, not only about what it loads.
 */
export function findImports(source: string): SourceImport[] {
  const code = blank(source);
  const found: SourceImport[] = [];
  const pattern = /\b(?:from|import\s*\(|import|require\s*\()\s*(["'])/g;
  for (const match of code.matchAll(pattern)) {
    const start = match.index + match[0].length;
    const end = code.indexOf(match[1] ?? '"', start);
    const statement = code.slice(0, match.index).match(/\b(?:import|export)\b[^;]*$/)?.[0] ?? "";
    const fromClause = match[0].startsWith("from");
    found.push({
      specifier: source.slice(start, end),
      line: lineAt(source, match.index),
      typeOnly: fromClause && /(?:^|[\s;])(?:import|export)\s+type\b[^;"']*$/.test(statement),
    });
  }
  return found;
}

/** The lines on which a word stands in the code itself: not in a comment, a string or a template's text. */
export function findWord(source: string, word: string): number[] {
  const code = blank(source);
  return [...code.matchAll(new RegExp(String.raw`(?<![\w$])${word}(?![\w$])`, "g"))].map((match) =>
    lineAt(source, match.index),
  );
}

function lineAt(source: string, offset: number): number {
  return source.slice(0, offset).split("\n").length;
}

/**
 * The same text, every character at its place, with spaces for comments, regular expressions and
 * what is inside strings and templates; quotes and code inside `${}` stay.
 */
export function blank(source: string): string {
  const tokens =
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/|[`{}]/gy;
  let out = "";
  let at = 0;
  // One entry for each open `${` (true) or `{` (false).
  const braces: boolean[] = [];
  while (at < source.length) {
    tokens.lastIndex = at;
    const token = tokens.exec(source)?.[0];
    if (token === undefined || (token.startsWith("/") && isDivision(token, out))) {
      out += source[at];
      at += 1;
    } else if (token === "`" || (token === "}" && braces.pop() === true)) {
      out += token;
      at = skipTemplate(at + 1);
    } else {
      if (token === "{") braces.push(false);
      out += token.length === 1 ? token : emptied(token);
      at += token.length;
    }
  }
  return out;

  /** Goes to the end of a template's text: past its closing backtick, or past the next `${`. */
  function skipTemplate(from: number): number {
    const text = /(?:\\[\s\S]|\$(?!\{)|[^\\$`])*(?:`|\$\{|$)/y;
    text.lastIndex = from;
    const found = text.exec(source)?.[0] ?? "";
    if (found.endsWith("${")) {
      braces.push(true);
      out += `${spaces(found.slice(0, -2))}\${`;
    } else {
      out += found.endsWith("`") ? `${spaces(found.slice(0, -1))}\`` : spaces(found);
    }
    return from + found.length;
  }
}

/** After a value a slash divides; after an operator, a bracket or a keyword it opens an expression. */
function isDivision(token: string, before: string): boolean {
  if (token.startsWith("//") || token.startsWith("/*")) return false;
  return /[\w$)\]}"'`]\s*$/.test(before) && !/\b(?:return|typeof|case|of|in)\s*$/.test(before);
}

function emptied(token: string): string {
  const quoted = token.startsWith('"') || token.startsWith("'");
  return quoted ? `${token[0]}${spaces(token.slice(1, -1))}${token[0]}` : spaces(token);
}

function spaces(text: string): string {
  return text.replace(/[^\n]/g, " ");
}
