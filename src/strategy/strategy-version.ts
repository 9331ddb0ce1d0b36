import { isDeepStrictEqual } from "node:util";
import { describeValue } from "../config/describe.ts";
import type { StrategyDescription } from "./module.ts";

/** A strategy and what it was given: with other options it is another version. */
export interface StrategyVersion extends StrategyDescription {
  /** As the config gives them; undefined when it gives none. */
  readonly options?: unknown;
}

/** Whatever their options. */
export function isSameStrategy(one: StrategyDescription, other: StrategyDescription): boolean {
  return one.name === other.name && one.version === other.version && one.source === other.source;
}

export function isSameVersion(one: StrategyVersion, other: StrategyVersion): boolean {
  return isSameStrategy(one, other) && changedOptions(one, other).length === 0;
}

export function nameVersion({ name, version }: StrategyDescription): string {
  return `${name} ${version}`;
}

/** By name, those options that only one of them has, or that differ. Not their values: one may be a secret. */
function changedOptions(one: StrategyVersion, other: StrategyVersion): readonly string[] {
  const [had, has] = [fieldsOf(one), fieldsOf(other)];
  const names = new Set([...had.keys(), ...has.keys()]);
  return [...names].filter((name) => !isDeepStrictEqual(had.get(name), has.get(name))).toSorted();
}

/** In a sentence. */
const MOST_NAMES = 5;

/** `id, zone and 2 more`: the options that `changedOptions` names. */
export function listChanged(one: StrategyVersion, other: StrategyVersion): string {
  const names = changedOptions(one, other);
  const told = names
    .slice(0, MOST_NAMES)
    .map((name) => (/^[\w.-]{1,64}$/.test(name) ? name : describeValue(name)));
  const leftOut = names.length - told.length;
  return `${told.join(", ")}${leftOut > 0 ? ` and ${leftOut} more` : ""}`;
}

function fieldsOf({ options }: StrategyVersion): ReadonlyMap<string, unknown> {
  if (options === undefined) return new Map();
  const isRecord = typeof options === "object" && options !== null && !Array.isArray(options);
  return new Map(isRecord ? Object.entries(options) : [["options", options]]);
}
