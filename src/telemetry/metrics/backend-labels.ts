import { parseAuthority } from "../authority.ts";
import type { LabelValues } from "./instrument.ts";

/** A backend as the config names it. */
export interface NamedBackend {
  readonly id: string;
  /** `http://host:port`, `https://host:port` or `unix:/path`. */
  readonly url: string;
}

/** Pool, id, address and port: the last labels of every instrument that is about a backend. */
export function backendLabels(pool: string, { id, url }: NamedBackend): LabelValues {
  if (url.startsWith("unix:")) return [pool, id, url.slice("unix:".length), null];
  const scheme = url.startsWith("https:") ? "https" : "http";
  const authority = parseAuthority(url.slice(scheme.length + "://".length), scheme);
  return [pool, id, authority?.address ?? null, authority?.port ?? null];
}
