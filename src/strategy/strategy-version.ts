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
  return isSameStrategy(one, other) && isDeepStrictEqual(one.options, other.options);
}

/** `mine 4f2a…`, with its options where nothing else tells it from the other one. */
export function nameVersion(version: StrategyVersion, other: StrategyVersion): string {
  const name = `${version.name} ${version.version}`;
  if (!isSameStrategy(version, other) || isSameVersion(version, other)) return name;
  return `${name} ${describeOptions(version)}`;
}

function describeOptions({ options }: StrategyVersion): string {
  return options === undefined ? "without options" : `with options ${describeValue(options)}`;
}
