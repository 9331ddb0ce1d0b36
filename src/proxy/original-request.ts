/**
 * What the client asked the outermost proxy for, in the words of one that is trusted (RFC 7239,
 * `X-Forwarded-*`). Where both forms are there and disagree, the standard one counts.
 */
import type { HeaderReader } from "../plugin.ts";

/** As in a Host field; null: nobody says. */
export function originalHost(headers: HeaderReader): string | null {
  return forwardedPair(headers, "host") ?? firstOf(headers.get("x-forwarded-host"));
}

export function originalScheme(headers: HeaderReader): Scheme | null {
  return schemeOf(forwardedPair(headers, "proto") ?? firstOf(headers.get("x-forwarded-proto")));
}

/**
 * The same with the fields in the other order, as backends are told. Most proxies write `X-Forwarded-Proto` and
 * leave a client's own `Forwarded` as it is: nothing that protects somebody may rest on that.
 */
export function surestScheme(headers: HeaderReader): Scheme | null {
  return schemeOf(firstOf(headers.get("x-forwarded-proto")) ?? forwardedPair(headers, "proto"));
}

type Scheme = "http" | "https";

function schemeOf(proto: string | null): Scheme | null {
  switch (proto?.toLowerCase()) {
    case "http":
      return "http";
    case "https":
      return "https";
    default:
      return null;
  }
}

/** Of the first element, which the outermost proxy wrote. */
function forwardedPair(headers: HeaderReader, name: "host" | "proto"): string | null {
  const element = firstOf(headers.get("forwarded"));
  if (element === null) return null;
  for (const pair of element.split(";")) {
    const [key = "", value = ""] = pair.split("=", 2);
    if (key.trim().toLowerCase() === name) return unquoted(value.trim());
  }
  return null;
}

function unquoted(value: string): string | null {
  const bare = /^"(.*)"$/.exec(value)?.[1] ?? value;
  return bare === "" ? null : bare;
}

function firstOf(list: string | null): string | null {
  const first = list?.split(",", 1)[0]?.trim() ?? "";
  return first === "" ? null : first;
}
