import type * as z from "zod";
import type { Problem } from "../errors.ts";
import { withoutCredentials } from "./backend-url.ts";
import { didYouMean } from "./suggest.ts";

type Issue = z.core.$ZodIssue;

/** One problem per mistake, in words, with the path as one would write it in TypeScript. */
export function describeIssues(
  issues: readonly Issue[],
  root: unknown,
  at: readonly PropertyKey[] = [],
): Problem[] {
  return issues.flatMap((issue) => describeIssue(issue, root, at));
}

/** `pools.web.backends[0].weight`; the empty path is `config`. */
export function formatPath(path: readonly PropertyKey[]): string {
  let text = "";
  for (const key of path) {
    if (typeof key === "number") text += `[${key}]`;
    else if (/^[A-Za-z_$][\w$-]{0,79}$/.test(String(key))) text += `${text && "."}${String(key)}`;
    else text += `[${quoted(String(key))}]`;
  }
  return text || "config";
}

/** What was found, short enough for one line. */
export function show(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object") return "an object";
  if (typeof value === "string") return quoted(withoutCredentials(value));
  return String(value);
}

/** As JSON, shortened, and without what moves a cursor or turns the direction of a text. */
function quoted(text: string): string {
  const beginning = text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text;
  return JSON.stringify(beginning).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escaped);
}

const LONGEST = 80;

function escaped(character: string): string {
  return character
    .split("")
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .join("");
}

function describeIssue(issue: Issue, root: unknown, at: readonly PropertyKey[]): Problem[] {
  const path = [...at, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      path: formatPath([...path, key]),
      message: `unknown key, allowed ${issue.message}${didYouMean(key, issue.message.split(", "))}`,
    }));
  }
  if (issue.code === "invalid_key") {
    const allowed = issue.issues[0]?.message ?? issue.message;
    // Who forgot a header's name has its value in its place.
    if (isExportHeader(path)) {
      return [{ path: formatPath(path.slice(0, -1)), message: `found a text, allowed ${allowed}` }];
    }
    const key = String(issue.path.at(-1));
    return [{ path: formatPath(path), message: `found ${show(key)}, allowed ${allowed}` }];
  }
  const found = valueAt(root, path);
  if (issue.code === "invalid_union") {
    const branch = chooseBranch(issue.errors);
    if (branch) return describeIssues(branch, root, path);
  }
  return [{ path: formatPath(path), message: describe(issue, found, path) }];
}

function describe(issue: Issue, found: unknown, path: readonly PropertyKey[]): string {
  // A token must not reach a log by way of its mistakes, nor what a collector is told to know us by.
  const key = path.at(-1);
  const isSecret = key === "token" || key === "secret" || isExportHeader(path);
  const shown = isSecret ? showKind(found) : show(found);
  const reason =
    issue.code === "custom" && typeof issue.params?.["reason"] === "string"
      ? ` (${issue.params["reason"]})`
      : "";
  return `found ${shown}${reason}, allowed ${issue.message}`;
}

/** Without what it is. */
function showKind(value: unknown): string {
  if (typeof value === "string") return "a text";
  return typeof value === "number" ? "a number" : show(value);
}

function isExportHeader(path: readonly PropertyKey[]): boolean {
  return path[0] === "telemetry" && path.at(-2) === "headers";
}

/** Whether a union's branch takes this type of value and complains about something inside or more exact. */
function acceptsType(errors: readonly Issue[]): boolean {
  return !errors.some(
    (error) =>
      error.path.length === 0 && (error.code === "invalid_type" || error.code === "invalid_value"),
  );
}

/**
 * The branch that the value was probably meant for, so that its complaints are about the rest. Where
 * that is open (both `address` and `unix` in one entry of `listen`) the union's own message says more.
 */
function chooseBranch(branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  const accepting = branches.filter((errors) => acceptsType(errors));
  const complete = accepting.filter(
    (errors) => !errors.some((error) => error.code === "invalid_type"),
  );
  return complete.length > 1 ? undefined : (complete[0] ?? accepting[0]);
}

/** Undefined where there is none. */
export function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}
