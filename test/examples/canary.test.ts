import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Backend } from "../../src/plugin.ts";
import { Rehearsal } from "../../src/strategy/rehearsal.ts";
import { strategySuite } from "../../src/strategy/suite.ts";
import { loadExamplePool } from "../_support/example-pool.ts";
import { countPicks, requestWith, send } from "../_support/rehearsed-exchange.ts";

const { plugin, options, rehearse } = await loadExamplePool(
  join(import.meta.dir, "../../examples/canary"),
);
const asking = requestWith({ headers: { "x-canary": "please" } });

describe("examples/canary", () => {
  for (const given of [options, { header: "X-Beta" }]) {
    for (const { name, run } of strategySuite(plugin, given)) {
      test(`${name}, with ${JSON.stringify(given)}`, run);
    }
  }

  test("sends requests with the header to the canary, however busy it is, and no others", () => {
    const rehearsal = rehearse();
    const canary = rehearsal.backends[2] as Backend;
    for (let count = 0; count < 50; count++) send(rehearsal, canary, asking);
    expect(countPicks(rehearsal, 100, asking)).toEqual([0, 0, 100]);
    expect(countPicks(rehearsal, 100, requestWith())).toEqual([50, 50, 0]);
  });

  test("wants the value that was configured, or any when none was", () => {
    const other = requestWith({ headers: { "x-canary": "now" } });
    expect(countPicks(rehearse(), 10, other)[2]).toBe(0);
    const pool = rehearse();
    const any = new Rehearsal({ plugin, options: { header: "X-Canary" }, weights: [1] });
    any.backends = pool.backends;
    any.host.setBackends(pool.backends);
    expect(countPicks(any, 10, other)[2]).toBe(10);
  });

  test("sends each kind to the other side when its own has nobody left", () => {
    const rehearsal = rehearse();
    const [one, two, canary] = rehearsal.backends as [Backend, Backend, Backend];
    expect(rehearsal.pick([canary], { request: requestWith() }).backend).toBe(canary);
    const { backend } = rehearsal.pick([one, two], { request: asking });
    expect([one, two]).toContain(backend as Backend);
  });

  test("refuses instead when it is strict", () => {
    const pool = rehearse();
    const [one, two, canary] = pool.backends as [Backend, Backend, Backend];
    const options = { header: "X-Canary", strict: true };
    const strict = new Rehearsal({ plugin, options, weights: [1] });
    expect(strict.pick([canary], { request: requestWith() }).backend).toBe(null);
    expect(strict.pick([one, two], { request: asking }).backend).toBe(null);
    expect(strict.pick([one, canary], { request: asking }).backend).toBe(canary);
    expect(strict.faults).toEqual([]);
  });

  test("says what is wrong with its options", () => {
    const wrong: readonly (readonly [options: unknown, message: string])[] = [
      [undefined, 'expected options like { header: "X-Canary" }'],
      [{ header: "" }, "header must be the name of a header"],
      [{ header: "X", value: 1 }, "value must be text"],
      [{ header: "X", strict: "yes" }, "strict must be true or false"],
      [{ header: "X", percent: 5 }, "there is no option percent, only header, value and strict"],
    ];
    for (const [options, message] of wrong) {
      expect(() => new Rehearsal({ plugin, options, weights: [1] })).toThrow(message);
    }
  });
});
