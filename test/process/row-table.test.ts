import { describe, expect, test } from "bun:test";
import { RuntimeError } from "../../src/errors.ts";
import {
  EJECTION_NONE,
  EJECTION_ON,
  PROBE_UNHEALTHY,
  PROBE_UNKNOWN,
} from "../../src/pool/counters.ts";
import { RowTable } from "../../src/process/row-table.ts";
import { backendConfig, newCounters, poolConfig } from "../_support/pools.ts";

function pool(name: string, ...ids: string[]) {
  return poolConfig(
    ids.map((id) => backendConfig(id)),
    { name },
  );
}

describe("the table of rows", () => {
  test("gives every backend a row of its own, the same server in another pool too", () => {
    const table = new RowTable(newCounters(4));
    expect(table.assign([pool("web", "a", "b"), pool("api", "a")])).toEqual({
      web: [0, 1],
      api: [2],
    });
  });

  test("keeps the rows of those that stay, wherever they stand in the list", () => {
    const table = new RowTable(newCounters(4));
    const first = [pool("web", "a", "b")];
    table.assign(first);
    table.committed(first);
    expect(table.assign([pool("web", "c", "b", "a")])).toEqual({ web: [2, 1, 0] });
  });

  test("gives a backend with another URL a fresh row", () => {
    const counters = newCounters(4);
    const table = new RowTable(counters);
    const first = [pool("web", "a")];
    table.assign(first);
    table.committed(first);
    counters.countRequest(0, 0);
    const moved = poolConfig([backendConfig("a", { url: "http://elsewhere" })]);
    expect(table.assign([moved])).toEqual({ web: [1] });
    expect(counters.requests(1)).toBe(0);
  });

  test("reuses a row only when its backend is out of force and nothing is in flight there", () => {
    const counters = newCounters(2);
    const table = new RowTable(counters);
    const first = [pool("web", "a")];
    const second = [pool("web", "b")];
    const third = [pool("web", "c")];
    table.assign(first);
    table.committed(first);
    counters.countRequest(0, 0);
    expect(table.assign(second)).toEqual({ web: [1] });
    // Not in force yet: workers may still choose the first.
    expect(() => table.assign([pool("web", "b", "c")])).toThrow(RuntimeError);
    table.committed(second);
    counters.addInFlight(0, 1, 1);
    expect(() => table.assign([pool("web", "b", "c")])).toThrow("room for 2");
    counters.addInFlight(0, 1, -1);
    counters.setConnections(0, 0, 1, 0);
    expect(() => table.assign([pool("web", "b", "c")])).toThrow("room for 2");
    counters.setConnections(0, 0, 0, 0);
    expect(table.assign(third)).toEqual({ web: [0] });
    expect(counters.requests(0)).toBe(0);
    expect(counters.generation(0)).toBe(2);
  });

  test("lets a backend that comes back begin anew, but counts what it still has", () => {
    const counters = newCounters(2);
    const table = new RowTable(counters);
    const [first, second] = [[pool("web", "a")], [pool("web", "b")]];
    for (const pools of [first, second]) {
      table.assign(pools);
      table.committed(pools);
      if (pools !== first) continue;
      counters.setDraining(0, true);
      counters.setProbe(0, PROBE_UNHEALTHY);
      counters.setEjection(0, EJECTION_ON, 1e9);
      counters.addConsecutiveFailures(0, 3);
      counters.addInFlight(0, 1, 1);
    }
    expect(table.assign(first)).toEqual({ web: [0] });
    expect(counters.draining(0)).toBe(false);
    expect(counters.probe(0)).toBe(PROBE_UNKNOWN);
    expect(counters.ejection(0)).toBe(EJECTION_NONE);
    expect(counters.consecutiveFailures(0)).toBe(0);
    expect(counters.inFlight(0)).toBe(1);
  });

  test("takes back what a plan got that never came into force", () => {
    const table = new RowTable(newCounters(2));
    const first = [pool("web", "a")];
    table.assign(first);
    table.committed(first);
    table.assign([pool("web", "a", "refused")]);
    expect(table.assign([pool("web", "a", "b")])).toEqual({ web: [0, 1] });
  });
});
