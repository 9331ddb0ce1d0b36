/**
 * A backend that closes a connection at the very moment at which the next request goes out over it (cases F02 and
 * F03): requests that may be repeated are, the others are never sent twice.
 */
import { describe, expect, test } from "bun:test";
import type { FakeBackend, FakeHandler } from "../_support/fake-backend.ts";
import { useHarness } from "../_support/harness.ts";
import type { Proxy } from "../_support/proxy.ts";

const harness = useHarness();

/** FIN right behind a whole answer that promised to keep the connection. */
const finAfterAnswer: FakeHandler = (request) => ({ body: request.target, afterwards: "fin" });

/** FIN a moment later, when the next request may be on its way. */
function finSoon(): FakeHandler {
  let turn = 0;
  return (request, wire) => {
    setTimeout(() => wire.fin(), turn++ % 3);
    return request.target;
  };
}

/** Every second request of a connection finds it closed instead of an answer. */
function closeOnSecond(how: "fin" | "reset"): FakeHandler {
  const used = new Set<number>();
  return (request) => {
    const again = used.has(request.connection);
    used.add(request.connection);
    return again ? { raw: [], afterwards: how } : request.target;
  };
}

interface Answers {
  readonly right: number;
  /** By what came instead. */
  readonly others: Record<string, number>;
}

/** That many requests from 8 clients that keep their connections. */
async function send(proxy: Proxy, method: "GET" | "POST", count: number): Promise<Answers> {
  let right = 0;
  const others: Record<string, number> = {};
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < count) {
      const target = `/${next++}`;
      const body = method === "POST" ? { body: "pay" } : {};
      const response = await fetch(`${proxy.url}${target}`, { method, ...body });
      const text = await response.text();
      if (response.status === 200 && text === target) right++;
      else others[`${response.status} ${text}`] = (others[`${response.status} ${text}`] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: 8 }, client));
  return { right, others };
}

function serve(backends: FakeBackend[]): Promise<Proxy> {
  return harness.proxy({
    config: {
      workers: 1,
      pools: {
        web: { backends: backends.map((each) => each.url), health: false, ejection: false },
      },
    },
  });
}

function mostOftenSeen(backends: readonly FakeBackend[]): number {
  const seen = new Map<string, number>();
  for (const { target } of backends.flatMap((each) => each.requests)) {
    seen.set(target, (seen.get(target) ?? 0) + 1);
  }
  return Math.max(...seen.values());
}

describe.each([
  ["sends a FIN right behind each answer", () => finAfterAnswer],
  ["sends a FIN a moment after each answer", finSoon],
  ["sends a FIN in place of every second answer", () => closeOnSecond("fin")],
  ["resets in place of every second answer", () => closeOnSecond("reset")],
])("a backend that %s", (_what, handler) => {
  test("fails none of 10,000 GETs", async () => {
    const backends = [harness.backend(handler()), harness.backend(handler())];
    const proxy = await serve(backends);
    expect(await send(proxy, "GET", 10_000)).toEqual({ right: 10_000, others: {} });
    // Else nothing was tried: connections must have ended.
    expect(backends[0]?.connections).toBeGreaterThan(100);
    expect(backends.flatMap((each) => each.refused)).toEqual([]);
  });

  test("sees none of 3,000 POSTs twice", async () => {
    const backends = [harness.backend(handler()), harness.backend(handler())];
    const proxy = await serve(backends);
    const { right, others } = await send(proxy, "POST", 3000);
    expect(mostOftenSeen(backends)).toBe(1);
    expect(right).toBeGreaterThan(1000);
    expect(Object.keys(others).filter((each) => !each.startsWith("502 "))).toEqual([]);
    expect(backends[0]?.connections).toBeGreaterThan(100);
  });
});
