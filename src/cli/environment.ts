import { findUnknownVariables, knownVariables } from "../config/overlay.ts";
import { didYouMean } from "../config/suggest.ts";
import { createLogger } from "./logger.ts";

/** A variable of ours with a slip in its name would otherwise be passed over in silence. */
export function warnOfUnknownVariables(env: Readonly<Record<string, string | undefined>>): void {
  const log = createLogger();
  for (const name of findUnknownVariables(env)) {
    log.warn(`${name} is set but means nothing here${didYouMean(name, knownVariables)}`);
  }
}
