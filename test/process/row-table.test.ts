import { describe, expect, test } from "bun:test";
import { admit } from "../../src/balance/admission.ts";
import { selectCandidates } from "../../src/balance/candidates.ts";
import { RuntimeError } from "../../src/errors.ts";
import {
  EJECTION_NONE,
  EJECTION_ON,
  PROBE_UNHEALTHY,
  PROBE_UNKNOWN,
} from "../../src/pool/counters.ts";
import { Pool } from "../../src/pool/pool.ts";
import { RowTable } from "../../src/process/row-table.ts";
import { backendConfig, newCounters, poolConfig } from "../_support/pools.ts";

function pool(name: string, ...ids: string[]) {
  return poolConfig(
    ids.map((id) => backendConfig(id)),
    { name },
  );
}

const ignore = (): void => {};

describe("the table of rows", () => {
  test("gives every backend a row of its own, the same server in another pool too", () => {
    const table = new RowTable(newCounters(4), ignore);
    expect(table.assign([pool("web", "a", "b"), pool("api", "a")])).toEqual({
      web: [0, 1],
      api: [2],
    });
  });

  test("keeps the rows of those that stay, wherever they stand in the list", () => {
    const table = new RowTable(newCounters(4), ignore);
    const first = [pool("web", "a", "b")];
    table.assign(first);
    table.committed(first);
    expect(table.assign([pool("web", "c", "b", "a")])).toEqual({ web: [2, 1, 0] });
  });

  test("gives a backend with another URL a fresh row", () => {
    const counters = newCounters(4);
    const table = new RowTable(counters, ignore);
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
    const table = new RowTable(counters, ignore);
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
  });

  test("whoever still knows a removed backend gives it nothing, wherever its row has gone", () => {
    const counters = newCounters(3);
    const table = new RowTable(counters, ignore);
    const assign = (...ids: string[]) => {
      const config = pool("web", ...ids);
      const rows = table.assign([config])["web"] ?? [];
      return { config, live: new Pool(config, counters, rows) };
    };
    const first = assign("a", "b");
    table.committed([first.config]);
    const [a, b] = first.live.backends;
    if (!a || !b) throw new Error("two were asked for");
    const second = assign("a", "c");
    expect(b.draining).toBe(false);
    table.committed([second.config]);
    const third = assign("a", "d");
    table.committed([third.config]);
    expect(third.live.backends.map((backend) => backend.draining)).toEqual([false, false]);
    expect([a.draining, b.draining]).toEqual([false, true]);
    expect(selectCandidates(first.live, new Set([a])).none).toBe("tried");
    expect(admit(first.live, b, 1, false)).toBeNull();
    expect(third.live.backends.map(({ inFlight }) => inFlight)).toEqual([0, 0]);
  });

  test("a lease that somebody is about to give back is no part of the next backend's", () => {
    const counters = newCounters(1);
    const table = new RowTable(counters, ignore);
    table.assign([pool("web", "a")]);
    table.committed([]);
    // Another process adds first and looks afterwards; both may fall before and behind any of these steps.
    table.assign([]);
    counters.addInFlight(0, 1, 1);
    table.assign([pool("web", "b")]);
    counters.addInFlight(0, 1, -1);
    expect(counters.inFlight(0)).toBe(0);
  });

  test("one that comes back while it still has something is there for who knows it anew", () => {
    const counters = newCounters(2);
    const table = new RowTable(counters, ignore);
    const config = pool("web", "a");
    const live = () => new Pool(config, counters, table.assign([config])["web"] ?? []);
    const before = live();
    table.committed([config]);
    counters.addInFlight(0, 1, 1);
    table.committed([]);
    const after = live();
    table.committed([config]);
    expect(after.backends[0]?.draining).toBe(false);
    expect(before.backends[0]?.draining).toBe(true);
    expect(after.backends[0]?.inFlight).toBe(1);
  });

  test("lets a backend that comes back begin anew, but counts what it still has", () => {
    const counters = newCounters(2);
    const table = new RowTable(counters, ignore);
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

  test("tells what was counted in a row before it is cleared for another", () => {
    const counters = newCounters(2);
    const told: unknown[] = [];
    const table = new RowTable(counters, ({ pool: name, backend, row }) =>
      told.push([name, backend.id, counters.requests(row)]),
    );
    const first = [pool("web", "a")];
    table.assign(first);
    table.committed(first);
    counters.countRequest(0, 1);
    table.committed([]);
    counters.addInFlight(0, 1, 1);
    counters.countRequest(0, 1);
    table.assign([pool("web", "b")]);
    expect(told).toEqual([]);
    counters.addInFlight(0, 1, -1);
    expect(table.assign([pool("web", "c")])).toEqual({ web: [0] });
    expect(told).toEqual([
      ["web", "a", 2],
      ["web", "b", 0],
    ]);
  });

  test("takes back what a plan got that never came into force", () => {
    const table = new RowTable(newCounters(2), ignore);
    const first = [pool("web", "a")];
    table.assign(first);
    table.committed(first);
    table.assign([pool("web", "a", "refused")]);
    expect(table.assign([pool("web", "a", "b")])).toEqual({ web: [0, 1] });
  });
});
