import type { History, PromiseName, Step } from "../testing-api.ts";

export interface HistoryTestOptions {
  /** What the test is called. */
  readonly name: string;
  readonly promise: PromiseName;
  /** What went wrong, for the reader. */
  readonly explanation: string;
  readonly history: History;
  /** What the test imports: `./mine.ts`. */
  readonly specifier: string;
}

/** The source of a test that fails for as long as the strategy breaks its promise in this history. */
export function renderHistoryTest(options: HistoryTestOptions): string {
  const { name, promise, explanation, history, specifier } = options;
  const { seed, weights, steps } = history;
  const given = (["options", "previous"] as const)
    .filter((field) => history[field] !== undefined)
    .map((field) => `${field}: ${renderValue(history[field])},`);
  return `${[
    'import { test } from "bun:test";',
    'import { keepsPromise } from "leastwise/testing";',
    `import strategy from ${JSON.stringify(specifier)};`,
    "",
    ...comment(explanation),
    `test(${JSON.stringify(name)}, () => {`,
    `  keepsPromise(${JSON.stringify(promise)}, strategy, {`,
    ...[`seed: ${seed},`, `weights: ${renderWeights(weights)},`, ...given].map(indent),
    ...renderSteps(steps).map(indent),
    "  });",
    "});",
  ].join("\n")}\n`;
}

function indent(line: string): string {
  return `    ${line}`;
}

/** A thousand equal weights are no list to read. */
function renderWeights(weights: readonly number[]): string {
  const [first] = weights;
  const isLong = weights.length > 12 && weights.every((weight) => weight === first);
  return isLong ? `Array(${weights.length}).fill(${first})` : renderValue(weights);
}

function renderSteps(steps: readonly Step[]): string[] {
  if (steps.length === 0) return ["steps: [],"];
  return ["steps: [", ...steps.map((step) => `  ${renderValue(step)},`), "],"];
}

/** Plain data as source text, as the formatters of this world write it: a space after each comma. */
export function renderValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(renderValue).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(([name, inner]) => {
    return `${/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name)}: ${renderValue(inner)}`;
  });
  return fields.length === 0 ? "{}" : `{ ${fields.join(", ")} }`;
}

const WIDTH = 96;

function comment(text: string): string[] {
  const lines: string[] = [];
  let line = "//";
  for (const word of text.split(/\s+/)) {
    if (line.length + word.length > WIDTH) {
      lines.push(line);
      line = "//";
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
