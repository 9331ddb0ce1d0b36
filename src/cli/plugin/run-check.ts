import { basename } from "node:path";
import type { StrategyConfig } from "../../config/config.ts";
import type { Problem } from "../../errors.ts";
import { tryConformance } from "../../process/trials.ts";
import type { RuleReport } from "../../strategy/conformance.ts";
import { findTypeErrors } from "./type-check.ts";

export interface CheckReport {
  /** The file, or the built-in's name. */
  readonly strategy: string;
  readonly ok: boolean;
  /** Null when it could not be loaded. */
  readonly name: string | null;
  readonly version: string | null;
  readonly rules: readonly RuleReport[];
}

/**
 * Everything that can be said about a strategy before it sees a request. A strategy that cannot be
 * loaded is tried no further.
 */
export async function checkStrategy(
  strategy: StrategyConfig,
  tempDir: string,
): Promise<CheckReport> {
  const rules: RuleReport[] = [];
  const isFile = strategy.kind === "file";
  if (isFile)
    rules.push(report("has no type errors", await findTypeErrors(strategy.file, tempDir)));
  const specifier = isFile ? `./${basename(strategy.file)}` : strategy.name;
  const found = await tryConformance(strategy, tempDir, specifier);
  rules.push(report("loads and takes its options", explainLoading(found.problems, strategy)));
  rules.push(...found.rules);
  return {
    strategy: isFile ? strategy.file : strategy.name,
    ok: rules.every(({ ok }) => ok),
    name: found.description?.name ?? null,
    version: found.description?.version ?? null,
    rules,
  };
}

/** For people: a line for each rule, and below a broken one why, and the test that shows it. */
export function renderCheck({ strategy, name, version, rules }: CheckReport): string {
  const title = name === null ? strategy : `${strategy}: ${name}, version ${version}`;
  const broken = rules.filter(({ ok }) => !ok).length;
  const end =
    broken === 0
      ? `${rules.length} rules kept`
      : `${broken} of ${rules.length} rules broken${name === null ? ", the others were not tried" : ""}`;
  const explained = new Set<string>();
  return `${[title, ...rules.flatMap((rule) => renderRule(rule, explained)), end].join("\n")}\n`;
}

/** One mistake may break many rules; its test is shown once. */
function renderRule(
  { rule, ok, explanation, test }: RuleReport,
  explained: Set<string>,
): readonly string[] {
  if (ok) return [`  ok    ${rule}`];
  const text = explanation ?? "";
  if (explained.has(text)) return [`  FAIL  ${rule}`, "        for the same reason"];
  explained.add(text);
  const why = text.split("\n").map((line) => `        ${line}`);
  if (test === null) return [`  FAIL  ${rule}`, ...why];
  const source = test
    .trimEnd()
    .split("\n")
    .map((line) => (line === "" ? "" : `          ${line}`));
  return [`  FAIL  ${rule}`, ...why, "        this test shows it:", "", ...source, ""];
}

/** What rejects options that nobody gave is not necessarily wrong. */
function explainLoading(
  problems: readonly Problem[],
  { options }: StrategyConfig,
): readonly Problem[] {
  return problems.map(({ path, message }) => {
    const lacks = options === undefined && message.includes(" rejects its options: ");
    return { path, message: lacks ? `${message}; give it some with --options JSON` : message };
  });
}

function report(rule: string, problems: readonly Problem[]): RuleReport {
  if (problems.length === 0) return { rule, ok: true, explanation: null, test: null };
  const explanation = problems.map(({ path, message }) => `${path}: ${message}`).join("\n");
  return { rule, ok: false, explanation, test: null };
}
