import { type CaseTable, cover, type Covered, type Evidence } from "./coverage.ts";

/** The text of `README.md`. */
export function formatTable(tables: readonly CaseTable[], evidence: readonly Evidence[]): string {
  const all = tables.flatMap(({ cases }) => cover(cases, evidence));
  const limited = all.filter(({ not }) => not.length > 0);
  const lines = [
    "# Conformance",
    "",
    "How the proxy has to behave on the wire, case by case, and the tests that show it. Written by",
    "`bun run conformance` from `cases.json` and from the titles of the tests, which name their cases in",
    "brackets; a test fails when it is out of date or a case has no test. Sources are sections of RFC 9110",
    "and 9112 or another RFC where it is named, test names of other proxies, or issues of Bun; M is a MUST, S a",
    "SHOULD, C what trusted proxies agree on, P a choice of ours.",
    "",
    `${all.length} cases: ${all.length - limited.length} met, ${limited.length} not or not wholly met,`,
    "each of these with a test that measures what happens instead.",
    "",
    "The corpus in `http11probe.json` is [another project's](NOTICE); `http11probe.test.ts` runs it.",
    "",
    "## Not, or not wholly",
    "",
    ...asTable([
      ["case", "sent", "what happens instead"],
      ...limited.map(({ case: { id, situation }, not }) => [
        id,
        situation,
        not.map(describe).join("; "),
      ]),
    ]),
  ];
  for (const { table, title, cases } of tables) {
    lines.push(
      "",
      `## ${table}. ${title}`,
      "",
      ...asTable([
        ["case", "sent", "must happen", "source", "shown by"],
        ...cover(cases, evidence).map(row),
      ]),
    );
  }
  return `${lines.join("\n")}\n`;
}

function row({ case: { id, situation, requirement, source }, shown, not }: Covered): string[] {
  const by = [...shown.map(describe), ...not.map((each) => `not: ${describe(each)}`)];
  return [id, situation, requirement, source, by.join("; ")];
}

function describe({ file, title }: Evidence): string {
  return `${title} ([${file.split("/").at(-1)}](../${file}))`;
}

/** Not padded as the formatter would: the widest cells have hundreds of characters. */
function asTable(rows: readonly (readonly string[])[]): string[] {
  const lines = rows.map((cells) => {
    const texts = cells.map((text) => text.replaceAll("|", "\\|"));
    return `| ${texts.join(" | ")} |`;
  });
  lines.splice(1, 0, `|${" --- |".repeat(rows[0]?.length ?? 0)}`);
  return ["<!-- prettier-ignore -->", ...lines];
}
