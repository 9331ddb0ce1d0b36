/** Query keys whose values are credentials or signatures: HTTP semantic conventions 1.44, `url.full`. */
const SECRET_KEYS: readonly string[] = [
  "x-amz-signature",
  "x-amz-credential",
  "x-amz-security-token",
  "x-goog-signature",
  "sig",
];

/** A query without its `?` in, the same with what is secret in it replaced out. */
export type Redactor = (query: string) => string;

/**
 * Replaces the values of secret keys, and of these further ones in lower case, by `REDACTED`. What
 * some server could take for such a key counts as one: in any case, percent-encoded, with brackets
 * (`token[]`), after a `;` or another `?`, with spaces and control characters around it. The value
 * goes on to the next `&`.
 */
export function createRedactor(keys: readonly string[]): Redactor {
  const secret = new Set([...SECRET_KEYS, ...keys]);
  // Nearly every query has none of them, and this test is cheap.
  const suspicious = new RegExp(`${[...secret].map(quoted).join("|")}|%`, "i");
  return (query) =>
    suspicious.test(query)
      ? query
          .split("&")
          .map((pair) => redactPair(pair, secret))
          .join("&")
      : query;
}

/** A path with its query, the query redacted. */
export function redactTarget(target: string, redact: Redactor): string {
  const at = target.indexOf("?") + 1;
  return at === 0 ? target : target.slice(0, at) + redact(target.slice(at));
}

/** A URL as a client may send it, without user and password, query and fragment redacted. */
export function redactUrl(url: string, redact: Redactor): string {
  const bare = url.replace(/^((?:[^/?#]*\/\/)?)[^/?#]*@/, "$1");
  const at = bare.search(/[?#]/) + 1;
  return at === 0 ? bare : bare.slice(0, at) + redact(bare.slice(at));
}

/** A Host field without the user and password that do not belong there. */
export function withoutUser(host: string): string {
  return host.slice(host.lastIndexOf("@") + 1);
}

function redactPair(pair: string, secret: ReadonlySet<string>): string {
  for (const match of pair.matchAll(/(?:^|[;?#])([^;?#=]*)=/g)) {
    if (isSecret(match[1] ?? "", secret)) {
      return `${pair.slice(0, match.index + match[0].length)}REDACTED`;
    }
  }
  return pair;
}

function isSecret(key: string, secret: ReadonlySet<string>): boolean {
  let name = key.toLowerCase();
  if (secret.has(name)) return true;
  // Where a proxy and a server both decode, it was encoded twice.
  for (let times = 0; times < 2 && name.includes("%"); times++) name = decode(name).toLowerCase();
  if (secret.has(name)) return true;
  return name.split(/[[\]+\s\p{Cc}]+/u).some((part) => secret.has(part));
}

/** Byte by byte: bytes that are no UTF-8 must not keep the others encoded. */
function decode(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function quoted(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}
