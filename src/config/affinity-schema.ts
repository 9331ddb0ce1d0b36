import * as z from "zod";
import type { AffinityConfig } from "./config.ts";
import { duration, section, text } from "./value.ts";

/* Sticky sessions, as a config file asks for them. */

/** Short, because every request carries it. */
export const DEFAULT_COOKIE = "lw";

/** What a browser takes as a cookie's name (RFC 6265, 4.1.1); the length is ours, so that a request stays short. */
const cookieName = text(
  "1 to 64 letters, digits and other characters of a cookie's name",
  /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/,
);

/** What is shorter can be guessed from one cookie. */
const secretForms = "a text of at least 16 characters";

export const affinity = section({
  cookie: cookieName
    .default(DEFAULT_COOKIE)
    .meta({ description: "Name of the cookie; each pool needs its own." }),
  ttl: duration({ minMs: 1000 }).prefault("1h").meta({
    description: "A session that is used goes on; any other ends after half to all of this.",
  }),
  secret: z.string({ error: secretForms }).min(16, { error: secretForms }).optional().meta({
    description:
      "Signs the cookies; the same in all instances. Unless given, one is made at the start, and sessions end with the process.",
  }),
});

export function fillAffinity(parsed: z.output<typeof affinity> | undefined): AffinityConfig | null {
  if (parsed === undefined) return null;
  return { cookie: parsed.cookie, ttlMs: parsed.ttl, secret: parsed.secret ?? null };
}
