/** Where a request wants to go, in the one form that routes, strategies and backends see. */
export interface RequestTarget {
  /**
   * Path and query. What has none (`*`, the authority of CONNECT) comes as it was sent and does not
   * start with `/`.
   */
  readonly target: string;
  /** Of the absolute form (RFC 9112, 3.2.2); null: Host alone tells. */
  readonly authority: string | null;
}

const ABSOLUTE = /^https?:\/\/([^/?#\\]*)(.*)$/is;

export function parseTarget(sent: string): RequestTarget {
  if (sent.startsWith("/")) return { target: canonical(sent), authority: null };
  const [, authority, rest] = ABSOLUTE.exec(sent) ?? [];
  if (authority === undefined || rest === undefined) return { target: sent, authority: null };
  return { target: canonical(/^[/\\]/.test(rest) ? rest : `/${rest}`), authority };
}

/**
 * Dot segments resolved, and backslashes turned into slashes before that, as browsers do (URL Standard, 4.4): or
 * `/public/../private` would pass for public here and for private at the backend. Nothing else is
 * decoded or encoded. A request target has no fragment (RFC 9112, 3.2); one that was sent is cut off.
 */
function canonical(target: string): string {
  if (!/[\\#]|\/(?:\.|%2e)/i.test(target)) return target;
  const hash = target.indexOf("#");
  const whole = hash < 0 ? target : target.slice(0, hash);
  const mark = whole.indexOf("?");
  return mark < 0 ? resolveDots(whole) : `${resolveDots(whole.slice(0, mark))}${whole.slice(mark)}`;
}

/** RFC 3986, 5.2.4. A dot may be written as `%2e`. */
function resolveDots(path: string): string {
  const kept: string[] = [];
  const segments = path.replaceAll("\\", "/").split("/").slice(1);
  for (const [i, segment] of segments.entries()) {
    const dots = segment.replaceAll(/%2e/gi, ".");
    if (dots === "..") kept.pop();
    else if (dots !== ".") kept.push(segment);
    const isLast = i === segments.length - 1;
    if (isLast && (dots === "." || dots === "..")) kept.push("");
  }
  return `/${kept.join("/")}`;
}
