import type { HeaderRules } from "./config.ts";

/**
 * Fields that no rule may touch: those of one connection (RFC 9110, 7.6.1), those that frame the
 * message, and those for which there is another setting or no choice.
 */
const OURS = [
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

export const ruledNameForms = `a header name other than ${OURS.join(", ")}`;

export function isRuledName(name: string): boolean {
  return !OURS.includes(name.toLowerCase());
}

/** Fields that no log may hold. */
const CREDENTIALS = ["authorization", "cookie", "proxy-authorization", "set-cookie"];

export const loggedNameForms = `a header name other than ${CREDENTIALS.join(", ")}`;

export function isCredential(name: string): boolean {
  return CREDENTIALS.includes(name.toLowerCase());
}

/** Whether two of the names differ in case only. */
export function repeatsName(values: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(values).map((name) => name.toLowerCase());
  return new Set(names).size < names.length;
}

export function fillHeaderRules(rules: {
  readonly set: Readonly<Record<string, string>>;
  readonly add: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
}): HeaderRules {
  return {
    set: lowerCaseNames(rules.set),
    add: lowerCaseNames(rules.add),
    remove: rules.remove.map((name) => name.toLowerCase()),
  };
}

function lowerCaseNames(values: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(values).map(([name, value]) => [name.toLowerCase(), value]);
}
