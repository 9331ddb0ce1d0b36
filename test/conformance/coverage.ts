/**
 * Which test shows which case of `cases.json`. A test says so in its title: `[A01, A02]` for cases that it
 * shows, `[not A25]` for one that cannot be met, where it measures what happens instead.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

export interface Case {
  readonly id: string;
  readonly situation: string;
  readonly requirement: string;
  readonly source: string;
}

export interface CaseTable {
  readonly table: string;
  readonly title: string;
  readonly cases: readonly Case[];
}

export interface Evidence {
  /** Relative to the folder `test`. */
  readonly file: string;
  /** The test's title, after those of the blocks around it, without the brackets. */
  readonly title: string;
  readonly ids: readonly string[];
  /** The test measures that the cases are not met. */
  readonly not: boolean;
}

const testFolder = join(import.meta.dir, "..");

export function readCases(): CaseTable[] {
  return JSON.parse(readFileSync(join(import.meta.dir, "cases.json"), "utf8")) as CaseTable[];
}

/** Of every test file, in the order of their names. */
export function readEvidence(): Evidence[] {
  const files = readdirSync(testFolder, { recursive: true, encoding: "utf8" })
    // The test of this file has titles as examples.
    .filter((file) => file.endsWith(".test.ts") && !file.endsWith("conformance/table.test.ts"))
    .sort();
  return files.flatMap((file) =>
    findEvidence(readFileSync(join(testFolder, file), "utf8")).map((found) => ({
      ...found,
      file: relative(testFolder, join(testFolder, file)),
    })),
  );
}

/** A string literal that ends with one or more brackets. */
const NAMED = /(["'`])((?:(?!\1)[^\\\n]|\\.)*?)((?: ?\[(?:not )?[A-GR]\d\d(?:, [A-GR]\d\d)*\])+)\1/;
const BRACKET = /\[(not )?([^\]]+)\]/g;
/** Where the title of a `describe` stands, as the formatter lays it out; with `.each` after the values. */
const TITLED = /^(?:describe(?:\.\w+)?|\]\))\((["'`])((?:(?!\1)[^\\]|\\.)*)\1/;

/** The title with those of the `describe` blocks around it, told by their indentation. */
export function findEvidence(source: string): Omit<Evidence, "file">[] {
  const found: Omit<Evidence, "file">[] = [];
  const around: { indent: number; title: string }[] = [];
  const each = new Map<number, string>();
  for (const line of source.split("\n")) {
    const text = line.trimStart();
    const indent = line.length - text.length;
    if (text === "") continue;
    const [, opened] = /^(describe|test)\.each\(/.exec(text) ?? [];
    if (opened !== undefined) each.set(indent, opened);
    const named = NAMED.exec(text);
    const titled = TITLED.exec(text);
    while (around.length > 0 && (around.at(-1)?.indent ?? 0) >= indent && !/^[)\]}]/.test(text))
      around.pop();
    if (named !== null) {
      const [, , title = "", brackets = ""] = named;
      const titles = [...around.map((block) => block.title), title.trim()];
      for (const [, not, ids = ""] of brackets.matchAll(BRACKET)) {
        found.push({ title: titles.join(" "), ids: ids.split(", "), not: not !== undefined });
      }
    }
    if (titled !== null && (text.startsWith("describe") || each.get(indent) === "describe")) {
      while ((around.at(-1)?.indent ?? -1) >= indent) around.pop();
      around.push({ indent, title: (titled[2] ?? "").replace(/( ?\[[^\]]*\])+$/, "") });
    }
  }
  return found;
}

export interface Covered {
  readonly case: Case;
  readonly shown: readonly Evidence[];
  readonly not: readonly Evidence[];
}

export function cover(cases: readonly Case[], evidence: readonly Evidence[]): Covered[] {
  return cases.map((each) => {
    const about = evidence.filter(({ ids }) => ids.includes(each.id));
    return {
      case: each,
      shown: about.filter(({ not }) => !not),
      not: about.filter(({ not }) => not),
    };
  });
}
