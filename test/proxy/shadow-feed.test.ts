/** Which attempts shadows are shown, over backends that a script plays. */
import { beforeEach, describe, expect, test } from "bun:test";
import { PROBE_UNHEALTHY } from "../../src/pool/counters.ts";
import type { FrontAnswer } from "../../src/proxy/front.ts";
import type { ShadowFeed } from "../../src/proxy/shadow-feed.ts";
import { ok, refused } from "../_support/attempt-bench.ts";
import { type HandlerBench, handlerBench } from "../_support/handler-bench.ts";

const affinity = { cookie: "lw", ttlMs: 60_000, secret: "a secret of some length" };
const retry = { attempts: 3, budget: 1, on: ["connect"] as const };

let shown: string[];
let listening: boolean;

beforeEach(() => {
  shown = [];
  listening = true;
});

const feed: ShadowFeed = {
  takes: () => listening,
  attemptStarting({ id, number, backend, affinity: placed, backends, candidates, request }) {
    expect(backends.map((each) => each.id)).toEqual(["b0", "b1", "b2"]);
    const by = placed ? "session" : `pick of [${candidates.map((each) => each.id).join()}]`;
    shown.push(`${id} ${request.path} attempt ${number} at ${backend.id} by ${by}`);
    return {
      responded: ({ status }) => void shown.push(`${id} ${status}`),
      ended: ({ outcome }) => void shown.push(`${id} ${outcome}`),
    };
  },
};

function bench(fails: (index: number) => boolean = () => false): HandlerBench {
  return handlerBench(
    (exchange, index) => (fails(index) ? exchange.fail(refused()) : ok(exchange, index)),
    {
      backends: 3,
      // The last one, so that a session elsewhere shows.
      strategy: () => ({
        pick: (all, { request }) => (request.path === "/refused" ? null : (all.at(-1) ?? null)),
      }),
      pool: { affinity, retry },
      shadow: feed,
    },
  );
}

const ask = (front: HandlerBench, path: string, cookie?: string): Promise<FrontAnswer> =>
  front.send({
    target: path,
    headers: { host: "shop.example", ...(cookie === undefined ? {} : { cookie }) },
  });

/** The cookie of a session at `b0`. */
async function sessionAtFirst(front: HandlerBench): Promise<string> {
  for (const row of [1, 2]) front.counters.setProbe(row, PROBE_UNHEALTHY);
  const { headers } = await ask(front, "/first");
  for (const row of [1, 2]) front.counters.setProbe(row, 0);
  const [, field = ""] = headers.find(([name]) => name.toLowerCase() === "set-cookie") ?? [];
  shown = [];
  return field.split(";")[0] ?? "";
}

test("a pick is shown with what there was to pick from", async () => {
  const front = bench();
  front.counters.setProbe(1, PROBE_UNHEALTHY);
  await ask(front, "/a");
  expect(shown).toEqual(["1 /a attempt 1 at b2 by pick of [b0,b2]", "1 200", "1 ok"]);
});

describe("a request with a session", () => {
  test("is shown as placed by that, at a draining backend too", async () => {
    const front = bench();
    const cookie = await sessionAtFirst(front);
    await ask(front, "/a", cookie);
    front.counters.setDraining(0, true);
    await ask(front, "/b", cookie);
    expect(shown).toEqual([
      "2 /a attempt 1 at b0 by session",
      "2 200",
      "2 ok",
      "3 /b attempt 1 at b0 by session",
      "3 200",
      "3 ok",
    ]);
  });

  test("whose backend cannot serve is an ordinary pick", async () => {
    const front = bench();
    const cookie = await sessionAtFirst(front);
    front.counters.setProbe(0, PROBE_UNHEALTHY);
    await ask(front, "/a", cookie);
    expect(shown[0]).toBe("2 /a attempt 1 at b2 by pick of [b1,b2]");
  });

  test("whose backend fails is a pick from its second attempt on", async () => {
    const front = bench((index) => index === 1);
    const cookie = await sessionAtFirst(front);
    await ask(front, "/a", cookie);
    expect(shown).toEqual([
      "2 /a attempt 1 at b0 by session",
      "2 connect",
      "3 /a attempt 2 at b2 by pick of [b1,b2]",
      "3 200",
      "3 ok",
    ]);
  });

  test("is shown to nobody when nobody is there", async () => {
    const front = bench();
    const cookie = await sessionAtFirst(front);
    listening = false;
    await ask(front, "/a", cookie);
    expect(shown).toEqual([]);
  });
});

test("a request that the strategy refuses is not shown", async () => {
  const front = bench();
  expect((await ask(front, "/refused")).status).toBe(503);
  expect(shown).toEqual([]);
});
