/**
 * Clients that open more connections than there is room for: who has most loses some, others are
 * served, requests under way go on, and the descriptors last.
 */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { useHarness } from "../_support/harness.ts";
import type { Proxy } from "../_support/proxy.ts";
import { connectRaw, type RawConnection } from "../_support/raw-client.ts";

const harness = useHarness();

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/** A head and a body that never come to their end. */
const DRIPS = {
  head: ["GET / HTTP/1.1\r\nHost: a\r\nX-Drip: ", "x"],
  body: ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", "x"],
} as const;

class Crowd {
  readonly connections: RawConnection[] = [];
  closed = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Connects that many times from an address and sends a beginning. */
  async join(proxy: Proxy, count: number, localAddress: string, beginning: string): Promise<void> {
    for (let i = 0; i < count; i++) {
      const connection = await connectRaw(proxy.port, { localAddress });
      void connection.closed.then(() => this.closed++);
      connection.send(beginning);
      this.connections.push(connection);
    }
  }

  /** One more byte on each a second. */
  drip(byte: string): void {
    this.#timer = setInterval(() => {
      for (const connection of this.connections) connection.send(byte);
    }, 1000);
  }

  leave(): void {
    clearInterval(this.#timer);
    for (const connection of this.connections) connection.reset();
  }
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within 60 s: ${what}`);
    await Bun.sleep(10);
  }
}

async function get(proxy: Proxy, localAddress: string): Promise<string> {
  const connection = await connectRaw(proxy.port, { localAddress });
  connection.send(GET);
  const answer = await connection.until((text) => text.endsWith("hello"));
  connection.end();
  return answer.slice(0, answer.indexOf("\r\n"));
}

async function openConnections(proxy: Proxy): Promise<number> {
  const workers = await proxy.workers();
  return workers.reduce((sum, { clientConnections }) => sum + (clientConnections ?? 0), 0);
}

async function mostDescriptors(proxy: Proxy): Promise<number> {
  const workers = await proxy.workers();
  return Math.max(...workers.map(({ pid }) => readdirSync(`/proc/${pid}/fd`).length));
}

describe("with 256 file descriptors for each of two workers", () => {
  const descriptors = { soft: 100, hard: 256 };
  const start = (handler: () => Promise<string> | string) =>
    harness.proxy({
      descriptors,
      config: {
        workers: 2,
        pools: { web: { backends: [harness.backend(handler).url], health: false } },
      },
    });

  test("the soft limit is raised to the hard one", async () => {
    const proxy = await start(() => "hello");
    for (const { pid } of await proxy.workers()) {
      expect(readFileSync(`/proc/${pid}/limits`, "utf8")).toMatch(/Max open files +256 +256 /);
    }
  });

  test.each([
    ["heads", DRIPS.head],
    ["bodies", DRIPS.body],
  ])(
    "twice the room for dripping %s from one address leaves room for another [F08, F09]",
    async (_what, [beginning, byte]) => {
      const proxy = await start(() => "hello");
      const crowd = new Crowd();
      const visitor = new Crowd();
      try {
        // As the crowd: a head that does not come to its end would be closed after 12 s for that alone.
        await visitor.join(proxy, 5, "127.0.0.2", beginning);
        // (256 - 64) / 2 connections per worker, as each may need another one to a backend.
        const room = 2 * 96;
        await crowd.join(proxy, 2 * room, "127.0.0.1", beginning);
        crowd.drip(byte);
        await until("what is too much is closed", () => crowd.closed >= room);
        for (let i = 0; i < 10; i++) {
          expect(await get(proxy, "127.0.0.2")).toStartWith("HTTP/1.1 200 ");
        }
        expect(visitor.closed).toBe(0);
        await until("the limit holds", async () => (await openConnections(proxy)) <= room);
        expect(await mostDescriptors(proxy)).toBeLessThan(256);
        expect(proxy.log()).toContain("too many client connections, some were closed");
      } finally {
        visitor.leave();
        crowd.leave();
      }
    },
    90_000,
  );
});

describe("clientConnections", () => {
  test("max holds over all workers, and requests under way outlive idle connections", async () => {
    const release = Promise.withResolvers<string>();
    const backend = harness.backend(() => release.promise);
    const proxy = await harness.proxy({
      config: {
        workers: 2,
        clientConnections: { max: 30 },
        pools: { web: { backends: [backend.url], health: false } },
      },
    });
    const crowd = new Crowd();
    try {
      await crowd.join(proxy, 20, "127.0.0.1", GET);
      await backend.until(() => backend.concurrent === 20);
      const busy = crowd.connections.slice();
      await crowd.join(proxy, 40, "127.0.0.1", "");
      // So many are open on their way to 60, too.
      await until("what is too much is closed", () => crowd.closed >= 30);
      await until("the limit holds", async () => (await openConnections(proxy)) === 30);
      expect(crowd.closed).toBe(30);
      release.resolve("hello");
      const answers = busy.map((each) => each.until((text) => text.endsWith("hello")));
      expect(await Promise.all(answers)).toHaveLength(20);
    } finally {
      crowd.leave();
    }
  });

  test("maxPerAddress holds over all workers, for each address, but not for a trusted proxy", async () => {
    const proxy = await harness.proxy({
      config: {
        workers: 2,
        trustedProxies: ["127.0.0.9"],
        clientConnections: { maxPerAddress: 10 },
        pools: { web: { backends: [harness.backend(() => "hello").url], health: false } },
      },
    });
    const crowds = { many: new Crowd(), few: new Crowd(), trusted: new Crowd() };
    try {
      await crowds.few.join(proxy, 10, "127.0.0.2", "");
      await crowds.trusted.join(proxy, 30, "127.0.0.9", "");
      await crowds.many.join(proxy, 25, "127.0.0.1", "");
      await until("the limit holds", () => crowds.many.closed >= 15);
      expect(await get(proxy, "127.0.0.3")).toStartWith("HTTP/1.1 200 ");
      await until("the visitor has left", async () => (await openConnections(proxy)) === 50);
      expect([crowds.many.closed, crowds.few.closed, crowds.trusted.closed]).toEqual([15, 0, 0]);
    } finally {
      for (const crowd of Object.values(crowds)) crowd.leave();
    }
  });

  test("more than there are descriptors for is warned of, with the room that there is", async () => {
    const proxy = await harness.proxy({
      descriptors: { soft: 256, hard: 256 },
      config: {
        workers: 2,
        clientConnections: { max: 1000 },
        pools: { web: { backends: [harness.backend().url], health: false } },
      },
    });
    await until("the warning", () => proxy.log().includes("than there are file descriptors for"));
    const line = proxy
      .log()
      .split("\n")
      .find((each) => each.includes("file descriptors for"));
    expect(JSON.parse(line ?? "")).toMatchObject({
      max: 1000,
      room: 192,
      descriptorsPerWorker: 256,
    });
  });
});
