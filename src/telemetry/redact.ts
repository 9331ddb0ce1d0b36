/** Query keys whose values are credentials or signatures: HTTP semantic conventions 1.44, `url.full`. */
const SECRET_KEYS = new Set([
  "x-amz-signature",
  "x-amz-credential",
  "x-amz-security-token",
  "x-goog-signature",
  "sig",
]);

/**
 * A query without its `?`, with the values of secret keys replaced by `REDACTED`. Keys are
 * compared without case and after percent-decoding, so that `%73ig=` does not slip through.
 */
export function redactQuery(query: string): string {
  // Nearly every query has none of them, and the test below is cheap.
  if (!/sig|x-|%/i.test(query)) return query;
  return redactPairs(query, SECRET_KEYS);
}

/** A query without its `?` in, the same with what is secret in it replaced out. */
export type Redactor = (query: string) => string;

/** `redactQuery` with further keys, in lower case. */
export function createRedactor(keys: readonly string[]): Redactor {
  if (keys.length === 0) return redactQuery;
  const secret = new Set([...SECRET_KEYS, ...keys]);
  return (query) => redactPairs(query, secret);
}

function redactPairs(query: string, secret: ReadonlySet<string>): string {
  return query
    .split("&")
    .map((pair) => redactPair(pair, secret))
    .join("&");
}

/** A path with its query, or a URL, the query redacted. */
export function redactTarget(target: string, redact: Redactor = redactQuery): string {
  const at = target.indexOf("?") + 1;
  return at === 0 ? target : target.slice(0, at) + redact(target.slice(at));
}

function redactPair(pair: string, secret: ReadonlySet<string>): string {
  const at = pair.indexOf("=");
  if (at === -1) return pair;
  return secret.has(decode(pair.slice(0, at)).toLowerCase())
    ? `${pair.slice(0, at)}=REDACTED`
    : pair;
}

function decode(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}
