/** The cookie of a sticky session: what is believed, and what is written. */
import { beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { PoolBackend } from "../../src/pool/backend.ts";
import { Pool } from "../../src/pool/pool.ts";
import { Affinity, type Session } from "../../src/proxy/affinity.ts";
import { backendConfig, newCounters, poolConfig } from "../_support/pools.ts";

const START_MS = 1_800_000_000_000;
const HOUR_MS = 3_600_000;
const SECRET = "a secret of some length";

let nowMs: number;
let pool: Pool;
let affinity: Affinity;

beforeEach(() => {
  nowMs = START_MS;
  pool = poolOf("web");
  affinity = affinityOf(pool);
});

function poolOf(name: string, ids: readonly string[] = ["10.0.0.1:3000", "10.0.0.2:3000"]): Pool {
  const backends = ids.map((id) => backendConfig(id));
  const rows = ids.map((_, row) => row);
  return new Pool(poolConfig(backends, { name }), newCounters(ids.length), rows);
}

function affinityOf(of: Pool, secret = SECRET, cookie = "lw"): Affinity {
  return new Affinity(of, { cookie, ttlMs: HOUR_MS, secret }, secret, () => nowMs);
}

function backend(index: number): PoolBackend {
  return pool.backends[index] as PoolBackend;
}

/** `name=value`, as a browser sends it back. */
function cookieOf(field: string | null): string {
  return field?.split(";")[0] ?? "";
}

function cookieFor(index: number, by = affinity): string {
  return cookieOf(by.fieldFor(backend(index), null, false));
}

/** With the same secret and the same ids. */
function cookieOfAnotherPool(): string {
  const other = poolOf("api");
  const field = affinityOf(other).fieldFor(other.backends[0] as PoolBackend, null, false);
  expect(field).not.toBeNull();
  return cookieOf(field);
}

describe("a cookie that we wrote", () => {
  test("leads to its backend, in every process with the same secret and after a restart", () => {
    const cookie = cookieFor(1);
    const again = affinityOf(pool);
    expect(again.sessionOf(cookie)?.backend).toBe(backend(1));
    expect(again.sessionOf(`a=b; ${cookie}; c=d`)?.backend).toBe(backend(1));
    expect(again.sessionOf(`a=b;${cookie}`)?.backend).toBe(backend(1));
  });

  test("has the attributes that browsers need, Secure only for a client that came by TLS", () => {
    const plain =
      /^lw=[\w-]{16}\.[0-9a-z]+\.[\w-]{22}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax$/;
    const field = affinity.fieldFor(backend(0), null, false) ?? "";
    expect(field).toMatch(plain);
    expect(affinity.fieldFor(backend(0), null, true)).toBe(`${field}; Secure`);
  });

  test("has Secure in any case where browsers ask for it because of its name", () => {
    for (const name of ["__Host-lw", "__Secure-lw"]) {
      const field = affinityOf(pool, SECRET, name).fieldFor(backend(0), null, false);
      expect(field).toEndWith("; SameSite=Lax; Secure");
    }
  });

  test("says neither the address nor the id of its backend", () => {
    const cookie = cookieFor(0);
    const decoded = cookie
      .slice(3)
      .split(".")
      .map((part) => Buffer.from(part, "base64url").toString("latin1"));
    for (const text of [cookie, ...decoded]) expect(text).not.toMatch(/10\.0\.0|3000|127/);
  });

  test("is found among others of its name, but not among any number", () => {
    const cookie = cookieFor(0);
    const others = (count: number): string => "lw=nonsense; ".repeat(count);
    expect(affinity.sessionOf(others(3) + cookie)?.backend).toBe(backend(0));
    expect(affinity.sessionOf(others(4) + cookie)).toBeNull();
  });

  test("leads there however many others came meanwhile", () => {
    const cookie = cookieFor(1);
    expect(affinity.sessionOf(cookie)?.backend).toBe(backend(1));
    for (let second = 0; second < 5000; second++) {
      nowMs = START_MS + second * 500;
      expect(affinity.sessionOf(cookieFor(0))?.backend).toBe(backend(0));
    }
    expect(affinity.sessionOf(cookie)?.backend).toBe(backend(1));
  });

  test("is worth nothing at its expiry, whatever the client makes of Max-Age", () => {
    const cookie = cookieFor(0);
    nowMs += HOUR_MS - 1000;
    expect(affinity.sessionOf(cookie)).not.toBeNull();
    nowMs += 1000;
    expect(affinity.sessionOf(cookie)).toBeNull();
  });
});

describe("a cookie is worth nothing", () => {
  const nothing: readonly (readonly [what: string, cookies: () => string | null])[] = [
    ["when there is none", () => null],
    ["when it is another", () => "session=1; lw2=3"],
    ["when it is empty", () => "lw="],
    ["when it is no pair", () => "lw"],
    ["when it is a backend's id", () => "lw=10.0.0.1:3000"],
    ["when its name is in another case", () => cookieFor(0).replace("lw", "LW")],
    [
      "when it was signed with another secret",
      () => cookieFor(0, affinityOf(pool, "another one!")),
    ],
    ["when it is of another pool", () => cookieOfAnotherPool()],
    ["when it is cut", () => cookieFor(0).slice(0, -1)],
    ["when it is longer", () => `${cookieFor(0)}A`],
    ["when it is quoted", () => cookieFor(0).replace(/=(.*)/, '="$1"')],
  ];
  for (const [what, cookies] of nothing) {
    test(what, () => {
      expect(affinity.sessionOf(cookies())).toBeNull();
    });
  }

  test("when its backend is not in the pool any more", () => {
    const cookie = cookieFor(1);
    const smaller = poolOf("web", ["10.0.0.1:3000"]);
    expect(affinityOf(smaller).sessionOf(cookie)).toBeNull();
  });

  test("when the parts of two are put together", () => {
    const [one, two] = [cookieFor(0), cookieFor(1)].map((cookie) => cookie.slice(3).split("."));
    const [name] = two ?? [];
    const [, expiry, signature] = one ?? [];
    expect(affinity.sessionOf(`lw=${name}.${expiry}.${signature}`)).toBeNull();
  });

  test("when any character of it was changed", () => {
    const cookie = cookieFor(0);
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    fc.assert(
      fc.property(
        // The last character holds four bits that are none of the signature's.
        fc.integer({ min: 3, max: cookie.length - 2 }),
        fc.constantFrom(...alphabet),
        (at, character) => {
          if (cookie[at] === character) return;
          const changed = cookie.slice(0, at) + character + cookie.slice(at + 1);
          expect(affinity.sessionOf(changed)).toBeNull();
        },
      ),
      { seed: 20_261_122, numRuns: 1000 },
    );
  });

  test("and never an error, whatever was sent", () => {
    const texts = fc.oneof(
      fc.uint8Array().map((bytes) => Buffer.from(bytes).toString("latin1")),
      fc.string().map((text) => `lw=${text}`),
    );
    fc.assert(
      fc.property(texts, (text) => {
        expect(affinity.sessionOf(text)).toBeNull();
      }),
      { seed: 20_261_122, numRuns: 1000 },
    );
  });
});

describe("a session", () => {
  let session: Session;

  beforeEach(() => {
    session = affinity.sessionOf(cookieFor(0)) as Session;
  });

  test("that goes on where it was is told nothing in the first half of its time, and renewed after it", () => {
    expect(affinity.fieldFor(backend(0), session, false)).toBeNull();
    nowMs += HOUR_MS / 2 - 1000;
    expect(affinity.fieldFor(backend(0), session, false)).toBeNull();
    nowMs += 1000;
    const renewed = cookieOf(affinity.fieldFor(backend(0), session, false));
    nowMs += HOUR_MS - 1000;
    expect(affinity.sessionOf(renewed)?.backend).toBe(backend(0));
  });

  test("is not renewed at a backend that is draining, which would never be rid of it", () => {
    nowMs += HOUR_MS - 1000;
    pool.counters.setDraining(0, true);
    expect(affinity.fieldFor(backend(0), session, false)).toBeNull();
  });

  test("that had to go elsewhere gets a cookie for where it is now", () => {
    const field = affinity.fieldFor(backend(1), session, false);
    expect(affinity.sessionOf(cookieOf(field))?.backend).toBe(backend(1));
  });
});
