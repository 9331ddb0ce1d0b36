/** Sticky sessions around a strategy, over backends that a script plays. */
import { beforeEach, describe, expect, test } from "bun:test";
import type { Attempt, AttemptEnd, Strategy } from "../../src/plugin.ts";
import { EJECTION_ON, EJECTION_TRIAL_OPEN, PROBE_UNHEALTHY } from "../../src/pool/counters.ts";
import type { FrontAnswer } from "../../src/proxy/front.ts";
import { TransportError } from "../../src/transport/transport-error.ts";
import { type HandlerBench, handlerBench } from "../_support/handler-bench.ts";
import { backendConfig } from "../_support/pools.ts";
import { HandFedBody, type ScriptedExchange } from "../_support/scripted-transport.ts";

const affinity = { cookie: "lw", ttlMs: 60_000, secret: "a secret of some length" };

/** Says `fail` for an exchange that cannot connect, else the status. */
type Script = (index: number) => number | "fail";

let told: string[];

beforeEach(() => {
  told = [];
});

/** Always the last of the candidates, so that a session elsewhere shows. */
function lastOne(): Strategy {
  return {
    pick: (candidates) => candidates.at(-1) ?? null,
    onStart: ({ backend }: Attempt) => void told.push(`start ${backend.id}`),
    onEnd: ({ backend }: Attempt, { outcome }: AttemptEnd) =>
      void told.push(`end ${backend.id} ${outcome}`),
  };
}

function bench(
  script: Script = () => 200,
  options: Parameters<typeof handlerBench>[1] = {},
): HandlerBench {
  const play = (exchange: ScriptedExchange, index: number): void => {
    const what = script(index);
    if (what === "fail") {
      const facts = { outcome: "connect", retry: "always" } as const;
      exchange.fail(new TransportError("connect_refused", "refused", facts));
    } else exchange.respond(what, new HandFedBody("whole"));
  };
  const { pool, ...others } = options;
  const retry = { attempts: 3, budget: 1, on: ["connect", "503"] as const };
  return handlerBench(play, {
    backends: 3,
    strategy: lastOne,
    pool: { affinity, retry, ...pool },
    ...others,
  });
}

function setCookies({ headers }: FrontAnswer): string[] {
  return headers.filter(([name]) => name.toLowerCase() === "set-cookie").map(([, value]) => value);
}

/** Where the last attempt went. */
function last({ facts }: HandlerBench): string | undefined {
  return facts.attempts.at(-1)?.backend.id;
}

const ask = (front: HandlerBench, cookie?: string): Promise<FrontAnswer> =>
  front.send({ headers: { host: "shop.example", ...(cookie === undefined ? {} : { cookie }) } });

/** The cookie of a session at `b0`, which the strategy would never have picked. */
async function sessionAtFirst(front: HandlerBench): Promise<string> {
  for (const row of [1, 2]) front.counters.setProbe(row, PROBE_UNHEALTHY);
  const [field = ""] = setCookies(await ask(front));
  for (const row of [1, 2]) front.counters.setProbe(row, 0);
  expect(last(front)).toBe("b0");
  told.length = 0;
  return field.split(";")[0] ?? "";
}

describe("a client with a session", () => {
  test("stays at its backend without another cookie, and the strategy is told but not asked", async () => {
    const front = bench();
    const cookie = await sessionAtFirst(front);
    const answer = await ask(front, cookie);
    expect([last(front), setCookies(answer)]).toEqual(["b0", []]);
    expect(told).toEqual(["start b0", "end b0 ok"]);
    expect(front.facts.attempts.at(-1)).toMatchObject({
      affinity: true,
      fallback: false,
      candidates: 3,
      pickMs: 0,
      decision: { affinity: true, tie: false },
    });
    await ask(front);
    expect(front.facts.attempts.at(-1)?.affinity).toBe(false);
    expect(front.facts.attempts.at(-1)?.decision?.affinity).toBeUndefined();
  });

  const gone: readonly (readonly [why: string, happen: (front: HandlerBench) => void])[] = [
    ["down", ({ counters }) => counters.setProbe(0, PROBE_UNHEALTHY)],
    ["ejected", ({ counters }) => counters.setEjection(0, EJECTION_ON, 1)],
    [
      "ejected while it drains",
      ({ counters }) => {
        counters.setEjection(0, EJECTION_ON, 1);
        counters.setDraining(0, true);
      },
    ],
    [
      "down while it drains",
      ({ counters }) => {
        counters.setProbe(0, PROBE_UNHEALTHY);
        counters.setDraining(0, true);
      },
    ],
  ];
  for (const [why, happen] of gone) {
    test(`whose backend is ${why} gets another from the strategy, with a cookie for that`, async () => {
      const front = bench();
      const cookie = await sessionAtFirst(front);
      happen(front);
      const [field = ""] = setCookies(await ask(front, cookie));
      expect(last(front)).toBe("b2");
      front.counters.setProbe(0, 0);
      await ask(front, field.split(";")[0]);
      expect(last(front)).toBe("b2");
    });
  }

  test("whose backend is at its limit goes elsewhere", async () => {
    const configs = ["b0", "b1"].map((id) => backendConfig(id, { maxInFlight: 1 }));
    const front = bench(undefined, { backends: 2, pool: { backends: configs } });
    front.counters.setProbe(1, PROBE_UNHEALTHY);
    const [field = ""] = setCookies(await ask(front));
    front.counters.setProbe(1, 0);
    for (const draining of [false, true]) {
      front.counters.setDraining(0, draining);
      front.counters.addInFlight(0, 0, 1);
      await ask(front, field.split(";")[0]);
      expect(last(front)).toBe("b1");
      front.counters.addInFlight(0, 0, -1);
    }
    await ask(front, field.split(";")[0]);
    expect(last(front)).toBe("b0");
  });

  test("whose backend refuses the connection goes elsewhere in the same request, with a new cookie", async () => {
    const front = bench((index) => (index === 1 ? "fail" : 200));
    const cookie = await sessionAtFirst(front);
    const answer = await ask(front, cookie);
    expect(answer.status).toBe(200);
    expect(
      front.facts.attempts.slice(1).map(({ backend, affinity: by }) => [backend.id, by]),
    ).toEqual([
      ["b0", true],
      ["b2", false],
    ]);
    expect(told).toEqual(["start b0", "end b0 connect", "start b2", "end b2 ok"]);
    const [field = ""] = setCookies(answer);
    await ask(front, field.split(";")[0]);
    expect(last(front)).toBe("b2");
  });

  test("whose backend's answer is retried in vain gets that answer, and no cookie for the others", async () => {
    const front = bench((index) => (index === 0 ? 200 : index === 1 ? 503 : "fail"));
    const cookie = await sessionAtFirst(front);
    const answer = await ask(front, cookie);
    expect(front.facts.attempts.length).toBe(4);
    expect([answer.status, setCookies(answer)]).toEqual([503, []]);
  });

  test("makes the trial of its backend that comes back, or goes elsewhere when another makes it", async () => {
    const front = bench();
    const cookie = await sessionAtFirst(front);
    front.counters.setEjection(0, EJECTION_TRIAL_OPEN, 1);
    await ask(front, cookie);
    expect(last(front)).toBe("b0");
    front.counters.setEjection(0, EJECTION_TRIAL_OPEN, 1);
    expect(front.counters.takeTrial(0, 0)).not.toBeNull();
    await ask(front, cookie);
    expect(last(front)).toBe("b2");
  });

  test("stays where it is when all are ejected and requests are sent anyway", async () => {
    const front = bench();
    const cookie = await sessionAtFirst(front);
    for (const row of [0, 1, 2]) front.counters.setEjection(row, EJECTION_ON, 1);
    await ask(front, cookie);
    expect(last(front)).toBe("b0");
  });
});

describe("a backend that is draining", () => {
  test("keeps the sessions that it has, and gets no new ones", async () => {
    const front = bench();
    const cookie = await sessionAtFirst(front);
    front.counters.setDraining(0, true);
    expect(setCookies(await ask(front, cookie))).toEqual([]);
    expect(last(front)).toBe("b0");
    expect(front.facts.attempts.at(-1)?.decision?.excluded).toEqual([
      { id: "b0", reason: "draining" },
    ]);
    for (let i = 0; i < 5; i++) {
      await ask(front);
      expect(last(front)).not.toBe("b0");
    }
  });

  test("keeps them when nobody else is left, while others are refused", async () => {
    const front = bench();
    const cookie = await sessionAtFirst(front);
    for (const row of [0, 1, 2]) front.counters.setDraining(row, true);
    expect((await ask(front, cookie)).status).toBe(200);
    expect((await ask(front)).status).toBe(503);
  });

  test("is not tried twice in one request", async () => {
    const front = bench((index) => (index === 1 ? "fail" : 200));
    const cookie = await sessionAtFirst(front);
    front.counters.setDraining(0, true);
    expect((await ask(front, cookie)).status).toBe(200);
    expect(front.facts.attempts.slice(1).map(({ backend }) => backend.id)).toEqual(["b0", "b2"]);
  });
});

test("a session at a backup goes back to the others as soon as there is one", async () => {
  const backends = ["b0", "b1"].map((id) => backendConfig(id, { backup: id === "b1" }));
  const front = bench(undefined, { backends: 2, pool: { backends } });
  front.counters.setProbe(0, PROBE_UNHEALTHY);
  const [field = ""] = setCookies(await ask(front));
  const cookie = field.split(";")[0] ?? "";
  expect(setCookies(await ask(front, cookie))).toEqual([]);
  expect(last(front)).toBe("b1");
  front.counters.setProbe(0, 0);
  expect(setCookies(await ask(front, cookie))).toHaveLength(1);
  expect(last(front)).toBe("b0");
});

describe("the cookie of an answer", () => {
  test("stands beside those of the backend, and no rule takes it out", async () => {
    const rules = { set: [], add: [], remove: ["set-cookie"] };
    const front = bench(undefined, {
      pool: { headers: { request: { set: [], add: [], remove: [] }, response: rules } },
    });
    expect(setCookies(await ask(front))).toEqual([expect.stringMatching(/^lw=/)]);
    const plain = bench();
    expect(setCookies(await ask(plain))).toEqual([expect.stringMatching(/^lw=/)]);
  });

  test("is in an answer of any status, but in none of our own", async () => {
    const failing = bench((index) => (index === 0 ? 500 : "fail"));
    expect(setCookies(await ask(failing))).toHaveLength(1);
    const own = await ask(failing);
    expect([own.status, setCookies(own)]).toEqual([502, []]);
  });

  test("comes again for one that is tampered with, at whatever backend the strategy picks", async () => {
    const front = bench();
    const cookie = await sessionAtFirst(front);
    const answer = await ask(front, `${cookie.slice(0, -4)}AAAA`);
    expect([last(front), setCookies(answer).length]).toEqual(["b2", 1]);
  });

  test("says Secure when the client came by TLS, to us or to a proxy that we trust", async () => {
    const proxied = (headers: Record<string, string>, trusted: boolean) =>
      bench(undefined, trusted ? { trustedProxies: [network] } : {}).send({ headers });
    const network = { address: "192.0.2.7", prefix: 32, family: "ipv4" } as const;
    const secure: readonly (readonly [
      headers: Record<string, string>,
      trusted: boolean,
      boolean,
    ])[] = [
      [{}, true, false],
      [{ "x-forwarded-proto": "https" }, true, true],
      [{ "x-forwarded-proto": "https, http" }, true, true],
      [{ "x-forwarded-proto": "http, https" }, true, false],
      [{ "x-forwarded-proto": "https" }, false, false],
      [{ forwarded: 'for=1.2.3.4;proto=https;host="a"' }, true, true],
      [{ forwarded: "for=1.2.3.4;proto=http, for=5.6.7.8;proto=https" }, true, false],
      [{ forwarded: "proto=https" }, false, false],
      [{ forwarded: "proto=https", "x-forwarded-proto": "http" }, true, false],
      [{ forwarded: "for=1.2.3.4;proto=http", "x-forwarded-proto": "https" }, true, true],
    ];
    for (const [headers, trusted, expected] of secure) {
      const [field = ""] = setCookies(await proxied({ host: "a", ...headers }, trusted));
      expect([headers, field.endsWith("; Secure")]).toEqual([headers, expected]);
    }
    const [own = ""] = setCookies(await bench().send({ scheme: "https" }));
    expect(own).toEndWith("; Secure");
  });
});

test("a pool without sticky sessions looks at no cookie and sets none", async () => {
  const front = bench(undefined, { pool: { affinity: null } });
  const cookie = await sessionAtFirst(bench());
  const answer = await ask(front, cookie);
  expect([last(front), setCookies(answer)]).toEqual(["b2", []]);
});
