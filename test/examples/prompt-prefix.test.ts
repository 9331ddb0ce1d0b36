import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import fc from "fast-check";
import { promptPrefix } from "../../examples/prompt-prefix/client.ts";
import type { Backend, RequestInfo } from "../../src/plugin.ts";
import { Rehearsal } from "../../src/strategy/rehearsal.ts";
import { strategySuite } from "../../src/strategy/suite.ts";
import { strangeness } from "../_support/chi-square.ts";
import { loadExamplePool } from "../_support/example-pool.ts";
import { countPicks, finish, requestWith, respond, send } from "../_support/rehearsed-exchange.ts";

const { plugin, options, rehearse } = await loadExamplePool(
  join(import.meta.dir, "../../examples/prompt-prefix"),
);

function prompt(...prefixes: readonly string[]): RequestInfo {
  return requestWith({ method: "POST", headers: { "x-prompt-prefix": prefixes.join(", ") } });
}

function pick(rehearsal: Rehearsal, request: RequestInfo): Backend {
  const { backend, fallback } = rehearsal.pick(rehearsal.backends, { request });
  if (backend === null || fallback) throw new Error("expected an answer of the strategy");
  return backend;
}

/** Picks and answers at once. */
function ask(rehearsal: Rehearsal, ...prefixes: readonly string[]): Backend {
  const request = prompt(...prefixes);
  const backend = pick(rehearsal, request);
  const attempt = send(rehearsal, backend, request);
  respond(rehearsal, attempt);
  finish(rehearsal, attempt, { status: 200 });
  return backend;
}

describe("examples/prompt-prefix", () => {
  for (const given of [undefined, options]) {
    for (const { name, run } of strategySuite(plugin, given)) {
      test(`${name}, with ${JSON.stringify(given) ?? "no options"}`, run);
    }
  }

  test("keeps a conversation on one backend while it grows", () => {
    const rehearsal = rehearse();
    for (let talk = 0; talk < 30; talk++) {
      const prefixes = [`${talk}-0`];
      const first = ask(rehearsal, ...prefixes);
      for (let turn = 1; turn < 8; turn++) {
        prefixes.push(`${talk}-${turn}`);
        expect(ask(rehearsal, ...prefixes)).toBe(first);
      }
    }
  });

  test("spreads conversations that have nothing in common", () => {
    const rehearsal = rehearse();
    const counts = new Map<string, number>();
    for (let talk = 0; talk < 3000; talk++) {
      const { id } = ask(rehearsal, `talk-${talk}`);
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    const found = ["gpu-1", "gpu-2", "gpu-3"].map((id) => counts.get(id) ?? 0);
    expect(strangeness(found, [1, 1, 1])).toBeLessThan(1);
  });

  test("sends a prefix that is new to the same backend in every worker", () => {
    const [one, other] = [rehearse(1), rehearse(2)];
    for (let talk = 0; talk < 50; talk++) {
      expect(ask(other, `talk-${talk}`).id).toBe(ask(one, `talk-${talk}`).id);
    }
  });

  test("goes by the longest prefix that is warm, not by the shortest", () => {
    const rehearsal = rehearse();
    const [one, other] = rehearsal.backends as [Backend, Backend];
    for (let topic = 0; topic < 40; topic++) {
      const backend = topic % 2 === 0 ? one : other;
      const request = prompt("shared", `topic-${topic}`);
      finish(rehearsal, send(rehearsal, backend, request), { status: 200 });
    }
    for (let topic = 0; topic < 40; topic++) {
      const request = prompt("shared", `topic-${topic}`, "more of it");
      expect(pick(rehearsal, request)).toBe(topic % 2 === 0 ? one : other);
    }
  });

  test("uses the less busy of two places where a prefix is warm", () => {
    const rehearsal = rehearse();
    const [one, other] = rehearsal.backends as [Backend, Backend];
    for (const backend of [one, other]) {
      finish(rehearsal, send(rehearsal, backend, prompt("shared")), { status: 200 });
    }
    send(rehearsal, one, prompt("x"));
    expect(ask(rehearsal, "shared")).toBe(other);
  });

  test("gives nobody more than the bound, however many share one prefix", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1, 1.25, 2),
        fc.constantFrom(0, 4),
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 6 }),
        (bound, slack, weights) => {
          const rehearsal = new Rehearsal({ plugin, options: { bound, slack }, weights });
          const total = weights.reduce((sum, weight) => sum + weight, 0);
          for (let sent = 1; sent <= 60; sent++) {
            const backend = pick(rehearsal, prompt("system prompt"));
            send(rehearsal, backend, prompt("system prompt"));
            const limit = (bound * sent * backend.weight) / total + slack;
            expect(backend.inFlight).toBeLessThanOrEqual(Math.ceil(limit - 1e-9));
          }
        },
      ),
      { seed: 2025, numRuns: 60 },
    );
  });

  test("comes back to where it was warm when there is room again", () => {
    const rehearsal = rehearse();
    const home = ask(rehearsal, "shared");
    const running = [];
    while (pick(rehearsal, prompt("shared")) === home && running.length < 100) {
      running.push(send(rehearsal, home, prompt("shared")));
    }
    // The slack, and a bit more than a third of them.
    expect(running.length).toBeGreaterThan(4);
    expect(running.length).toBeLessThan(10);
    for (const attempt of running) finish(rehearsal, attempt, { status: 200 });
    expect(ask(rehearsal, "shared")).toBe(home);
  });

  test("forgets what a backend had in its memory when that goes down", () => {
    const rehearsal = rehearse();
    const names = Array.from({ length: 40 }, (_, n) => `talk-${n}`);
    // Warm on the first, wherever rendezvous would have sent it.
    const [first] = rehearsal.backends as [Backend];
    for (const name of names) {
      finish(rehearsal, send(rehearsal, first, prompt(name)), { status: 200 });
    }
    expect(names.every((name) => pick(rehearsal, prompt(name)) === first)).toBe(true);
    rehearsal.host.healthChanged(first, "healthy", "unhealthy");
    expect(names.every((name) => pick(rehearsal, prompt(name)) === first)).toBe(false);
  });

  test("spreads requests without the header by requests in flight", () => {
    const rehearsal = rehearse();
    expect(strangeness(countPicks(rehearsal, 6000, requestWith()), [1, 1, 1])).toBeLessThan(1);
    send(rehearsal, rehearsal.backends[1] as Backend);
    expect(countPicks(rehearsal, 50, requestWith())[1]).toBe(0);
  });

  test("remembers no more than it is told to, and nothing that is very long", () => {
    const rehearsal = new Rehearsal({ plugin, options: { remember: 100 }, weights: [1, 1] });
    for (let talk = 0; talk < 500; talk++) ask(rehearsal, `talk-${talk}`, "x".repeat(10_000));
    const remembered = rehearsal.host.takeSnapshot() as [string, string[]][];
    expect(remembered.map(([prefix]) => prefix)).toEqual(
      Array.from({ length: 100 }, (_, n) => `talk-${n + 400}`),
    );
  });

  test("remembers what is asked for again and again, however much comes in between", () => {
    const rehearsal = new Rehearsal({ plugin, options: { remember: 10 }, weights: [1, 1] });
    for (let talk = 0; talk < 100; talk++) ask(rehearsal, "hot", `talk-${talk}`);
    const remembered = rehearsal.host.takeSnapshot() as [string, string[]][];
    expect(remembered.map(([prefix]) => prefix)).toContain("hot");
  });

  test("hands what is warm where to the next instance, as JSON", () => {
    const rehearsal = new Rehearsal({ plugin, weights: [1, 1, 1, 1] });
    const [, second] = rehearsal.backends as [Backend, Backend];
    const names = Array.from({ length: 20 }, (_, n) => `talk-${n}`);
    for (const name of names) {
      finish(rehearsal, send(rehearsal, second, prompt(name)), { status: 200 });
    }
    const snapshot = JSON.parse(JSON.stringify(rehearsal.host.takeSnapshot())) as unknown;
    const previous = { name: plugin.name, snapshot };
    const next = new Rehearsal({ plugin, weights: [1, 1, 1, 1], previous });
    expect(names.map((name) => pick(next, prompt(name)).id)).toEqual(names.map(() => second.id));
  });

  test("says what is wrong with its options", () => {
    const wrong: readonly (readonly [options: unknown, message: string])[] = [
      [null, "expected options like { bound: 1.25, slack: 4 }"],
      [{ header: 1 }, "header must be the name of a header"],
      [{ bound: 0.5 }, "bound must be a number from 1 on"],
      [{ slack: -1 }, "slack must be a number from 0 on"],
      [{ remember: 0 }, "remember must be a number from 1 to 1000000"],
      [{ key: "a" }, "there is no option key, only header, bound, slack and remember"],
    ];
    for (const [options, message] of wrong) {
      expect(() => new Rehearsal({ plugin, options, weights: [1] })).toThrow(message);
    }
  });
});

describe("the header that a client makes of its messages", () => {
  const system = "You answer in verse. ".repeat(20);

  test("names the same prefixes in the next turn, and one more", async () => {
    const turn = await promptPrefix([system, "Hello"]);
    const next = await promptPrefix([system, "Hello", "Good day"]);
    expect(turn).toMatch(/^[0-9a-f]{16},[0-9a-f]{16}$/);
    expect(next.startsWith(`${turn},`)).toBe(true);
  });

  test("shares the first names with conversations that begin alike, and no others", async () => {
    const [one = "", mine] = (await promptPrefix([system, "Cats?"])).split(",");
    const [other, theirs] = (await promptPrefix([system, "Dogs?"])).split(",");
    expect(other).toBe(one);
    expect(theirs).not.toBe(mine);
  });

  test("is empty for a prompt that is too short to be worth it", async () => {
    expect(await promptPrefix(["Hello"])).toBe("");
  });
});
