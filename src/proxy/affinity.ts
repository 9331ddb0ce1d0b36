/** Sticky sessions: which backend a client began with is in a cookie that only we can write. */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { AffinityConfig } from "../config/config.ts";
import type { PoolBackend } from "../pool/backend.ts";

/** Live, or as it was at some moment. */
type SessionBackend = Pick<PoolBackend, "id" | "draining">;

/** What a client's cookie says. */
export interface Session<Of extends SessionBackend = PoolBackend> {
  readonly backend: Of;
  /** Seconds since 1970. */
  readonly expiresAt: number;
}

/** Bytes of the backend's name and of the signature: 16 cannot be guessed. */
const NAME_BYTES = 12;
const SIGNATURE_BYTES = 16;
const FORM = /^([\w-]{16})\.([0-9a-z]{1,8})\.([\w-]{22})$/;

/** A browser sends one, or a few of different paths; hundreds are somebody who wants us to compute. */
const MAX_COOKIES = 4;

/** Cookies that were found right: each request of a session has the same, and a signature takes microseconds. */
const MAX_KNOWN = 4096;

/** Such a cookie is of no use to a browser without Secure (RFC 6265bis, 4.1.3). */
const ALWAYS_SECURE = /^__(?:host|secure)-/i;

/**
 * Reads and writes the cookies of one pool. Its value is `name.expiry.signature`: the name is a keyed
 * hash of the backend's id, so that nobody learns addresses or how many backends there are, and the
 * signature keeps clients from choosing a backend. Both depend on the pool: a cookie of another one
 * is worth nothing here. Backends get it as it came, as with Traefik, Caddy and HAProxy's plain `insert`.
 */
export class Affinity<Of extends SessionBackend = PoolBackend> {
  readonly #config: AffinityConfig;
  readonly #secret: string;
  readonly #pool: string;
  readonly #wallClock: () => number;
  readonly #byName = new Map<string, Of>();
  readonly #names = new Map<Of, string>();
  /** By value. Finding one by its hash says nothing of how much of a guess was right. */
  readonly #known = new Map<string, Session<Of>>();

  /** `wallClock`: milliseconds since 1970, because a session outlives the process. */
  constructor(
    pool: { readonly name: string; readonly backends: readonly Of[] },
    config: AffinityConfig,
    secret: string,
    wallClock: () => number,
  ) {
    this.#config = config;
    this.#secret = secret;
    this.#pool = pool.name;
    this.#wallClock = wallClock;
    for (const backend of pool.backends) {
      const name = this.#hash("backend", backend.id).toString("base64url", 0, NAME_BYTES);
      this.#byName.set(name, backend);
      this.#names.set(backend, name);
    }
  }

  /** Null when there is none that counts: missing, tampered with, of another pool, expired, or its backend is gone. */
  sessionOf(cookies: string | null): Session<Of> | null {
    const { cookie } = this.#config;
    if (cookies === null || !cookies.includes(`${cookie}=`)) return null;
    let looked = 0;
    for (const pair of cookies.split(";")) {
      const at = pair.indexOf("=");
      if (at < 0 || pair.slice(0, at).trim() !== cookie) continue;
      const session = this.#read(pair.slice(at + 1).trim());
      if (session !== null) return session;
      if (++looked === MAX_COOKIES) break;
    }
    return null;
  }

  /**
   * The Set-Cookie field of an answer by this backend; null when the client's cookie is right as it is.
   * A session is renewed once in each half of its time, except at a backend that is draining: that
   * would never be rid of it.
   */
  fieldFor(backend: Of, session: Session<Of> | null, secure: boolean): string | null {
    const now = this.#seconds();
    const { ttlMs, cookie } = this.#config;
    const seconds = Math.ceil(ttlMs / 1000);
    if (session?.backend === backend) {
      if (session.expiresAt - now > seconds / 2 || backend.draining) return null;
    }
    const name = this.#names.get(backend);
    if (name === undefined) return null;
    const expiry = (now + seconds).toString(36);
    const value = `${name}.${expiry}.${this.#sign(name, expiry).toString("base64url")}`;
    const flags = secure || ALWAYS_SECURE.test(cookie) ? "; Secure" : "";
    return `${cookie}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Lax${flags}`;
  }

  #read(value: string): Session<Of> | null {
    const session = this.#known.get(value) ?? this.#verify(value);
    return session !== null && session.expiresAt > this.#seconds() ? session : null;
  }

  #verify(value: string): Session<Of> | null {
    const [, name = "", expiry = "", signature = ""] = FORM.exec(value) ?? [];
    const backend = this.#byName.get(name);
    if (backend === undefined) return null;
    if (!timingSafeEqual(Buffer.from(signature, "base64url"), this.#sign(name, expiry)))
      return null;
    const session = { backend, expiresAt: Number.parseInt(expiry, 36) };
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(value, session);
    return session;
  }

  #sign(name: string, expiry: string): Buffer {
    return this.#hash("session", name, expiry).subarray(0, SIGNATURE_BYTES);
  }

  /** As JSON, so that no two lists of parts are one text. */
  #hash(...parts: string[]): Buffer {
    return createHmac("sha256", this.#secret)
      .update(JSON.stringify([this.#pool, ...parts]))
      .digest();
  }

  #seconds(): number {
    return Math.floor(this.#wallClock() / 1000);
  }
}
