/**
 * What Bun.serve does with ports, connections and time, shown on Bun alone: what we rely on, and what we guard
 * against.
 */
import { describe, expect, test } from "bun:test";
import { bareGet as get, useBareFronts } from "../_support/bare-front.ts";
import { connectRaw, exchangeRaw } from "../_support/raw-client.ts";

const { add, answerTo, serve, start } = useBareFronts();

describe("two requests at once on a connection of Bun.serve", () => {
  const two = `${get().replace("Connection: close\r\n", "")}${get()}`;

  test("are both answered, in order, by a synchronous handler", async () => {
    let count = 0;
    const received = await answerTo(two, () => new Response(`answer ${++count}`));
    expect(received.match(/answer \d/g)).toEqual(["answer 1", "answer 2"]);
  });

  test("end the connection unanswered while the first is pending: a limit", async () => {
    const never = new Promise<Response>(() => {});
    expect(
      await exchangeRaw(
        serve(() => never),
        two,
      ),
    ).toBe("");
  });
});

describe("the port of a Bun.serve", () => {
  const options = { hostname: "127.0.0.1", fetch: () => new Response("ok") };

  function bindTwice(how: { development?: boolean; reusePort?: boolean }): () => number {
    const first = Bun.serve({ ...options, ...how, port: 0 });
    add({ stop: () => first.stop(true) });
    const port = first.port as number;
    return () => {
      const second = Bun.serve({ ...options, ...how, port });
      add({ stop: () => second.stop(true) });
      return (second.port as number) - port;
    };
  }

  const taken = expect.objectContaining({ code: "EADDRINUSE" });

  // Elsewhere SO_REUSEPORT means something else, and leastwise has one worker there.
  test.skipIf(process.platform !== "linux")(
    "is shared without a word with reusePort: the master probes the address first",
    () => {
      expect(bindTwice({ reusePort: true, development: false })()).toBe(0);
    },
  );

  // The same as above.
  test.skipIf(process.platform !== "linux")(
    "is shared with `development: false` alone, too: say `reusePort: false` where one server is meant",
    () => {
      expect(bindTwice({ development: false })()).toBe(0);
      expect(bindTwice({ development: false, reusePort: false })).toThrow(taken);
    },
  );

  test("is refused to a Bun.listen even if it is shared: the probe that the master makes", () => {
    const server = Bun.serve({ ...options, port: 0, reusePort: true, development: false });
    add({ stop: () => server.stop(true) });
    const port = server.port as number;
    expect(() =>
      Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }).stop(true),
    ).toThrow(taken);
  });
});

describe("a request that comes while the answer before it is being streamed", () => {
  /** A client that has seen the first bytes of a stream, and what its handler notices. */
  async function streaming() {
    const cancelled = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    let pulls = 0;
    let handled = 0;
    const source = {
      async pull(controller: ReadableStreamDefaultController) {
        if (++pulls === 1) return controller.enqueue(Buffer.from("abc"));
        await go.promise;
        controller.close();
      },
      cancel: () => cancelled.resolve(),
    };
    const port = serve(() =>
      ++handled === 1
        ? new Response(new ReadableStream(source, { highWaterMark: 0 }))
        : new Response("second"),
    );
    const client = await connectRaw(port);
    const kept = get().replace("Connection: close\r\n", "");
    client.send(kept);
    await client.until((text) => text.includes("abc"));
    return { client, kept, cancelled: cancelled.promise, finish: go.resolve };
  }

  test("ends it, without a last chunk: a limit, and no worse than that", async () => {
    const { client, kept, cancelled } = await streaming();
    client.send(kept);
    await cancelled;
    await client.closed;
    expect(client.received()).toEndWith("3\r\nabc\r\n");
  });

  test("is answered after it if its head becomes whole only then", async () => {
    const { client, kept, finish } = await streaming();
    client.send(kept.slice(0, 10));
    finish();
    await client.until((text) => text.endsWith("0\r\n\r\n"));
    client.send(kept.slice(10));
    await client.until((text) => text.endsWith("\r\n\r\nsecond"));
    client.end();
  });

  test("so does the client's FIN alone: a limit", async () => {
    const { client, cancelled } = await streaming();
    client.halfClose();
    await cancelled;
    await client.closed;
    expect(client.received()).toEndWith("3\r\nabc\r\n");
  });
});

describe("stop() of a Bun.serve", () => {
  const kept = get().replace("Connection: close\r\n", "");

  test("ends idle connections, lets those with a request finish, and takes no new ones: our graceful end", async () => {
    const release = Promise.withResolvers<void>();
    const seen = Promise.withResolvers<void>();
    const server = start({
      async fetch({ url }) {
        if (!url.endsWith("/slow")) return new Response("ok");
        seen.resolve();
        await release.promise;
        return new Response("slow");
      },
    });
    const port = server.port as number;
    const idle = await connectRaw(port);
    idle.send(kept);
    await idle.until((text) => text.endsWith("ok"));
    const busy = await connectRaw(port);
    busy.send(kept.replace("/", "/slow"));
    await seen.promise;
    let resolved = false;
    const stopped = server.stop().then(() => {
      resolved = true;
    });
    expect(await idle.closed).toBe("fin");
    await expect(connectRaw(port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    expect(resolved).toBe(false);
    release.resolve();
    expect(await busy.closed).toBe("fin");
    expect(busy.received()).toEndWith("\r\n\r\nslow");
    // Why we add it from the moment at which a shutdown begins.
    expect(busy.received()).not.toMatch(/connection: close/i);
    await stopped;
  });

  test("waits for a request that never ends, until stop(true) comes after it: our end of the grace period", async () => {
    const seen = Promise.withResolvers<void>();
    const server = start({
      fetch() {
        seen.resolve();
        return new Promise<Response>(() => {});
      },
    });
    const client = await connectRaw(server.port as number);
    client.send(kept);
    await seen.promise;
    expect(server.pendingRequests).toBe(1);
    const stopped = server.stop();
    void server.stop(true);
    await client.closed;
    expect(client.received()).toBe("");
    await stopped;
  });

  test("is not needed to end idle connections: closeIdleConnections() leaves those with a request", async () => {
    const release = Promise.withResolvers<void>();
    const seen = Promise.withResolvers<void>();
    const server = start({
      async fetch({ url }) {
        if (url.endsWith("/slow")) {
          seen.resolve();
          await release.promise;
        }
        return new Response("ok");
      },
    });
    const [idle, busy] = [
      await connectRaw(server.port as number),
      await connectRaw(server.port as number),
    ];
    idle.send(kept);
    await idle.until((text) => text.endsWith("ok"));
    busy.send(kept.replace("/", "/slow"));
    await seen.promise;
    server.closeIdleConnections();
    expect(await idle.closed).toBe("fin");
    release.resolve();
    await busy.until((text) => text.endsWith("ok"));
    busy.end();
  });
});

// The limit of descriptors is set by a shell, and told by /proc.
describe.skipIf(process.platform !== "linux")("file descriptors", () => {
  test("may be as many as the hard limit says: Bun raises the soft one at start", async () => {
    const script = "console.log(require('fs').readFileSync('/proc/self/limits', 'utf8'))";
    const { stdout } = limited("ulimit -Sn 100; ulimit -Hn 300", "-e", script);
    expect(await stdout.text()).toMatch(/^Max open files +300 +300 /m);
  });

  test("that run out keep nobody who is connected from being served, and the others wait: why there must be enough", async () => {
    const child = limited("ulimit -n 64", "../_support/crowded-front-child.ts");
    add({ stop: () => child.kill("SIGKILL") });
    const { value } = await child.stdout.getReader().read();
    const port = Number(Buffer.from(value ?? []).toString());
    const kept = get().replace("Connection: close\r\n", "");
    const clients = await Promise.all(Array.from({ length: 100 }, () => connectRaw(port)));
    const served = new Set<(typeof clients)[number]>();
    const asked = clients.map(async (client) => {
      client.send(kept);
      await client.until((text) => text.endsWith("ok"));
      served.add(client);
    });
    for (const each of asked) each.catch(() => {});
    await Promise.any(asked);
    // Those that were served are served again and again; meanwhile nobody else can be.
    for (let turn = 0; turn < 10; turn++) {
      for (const client of served) {
        const before = client.received().length;
        client.send(kept);
        await client.until((text) => text.length > before && text.endsWith("ok"));
      }
    }
    expect(served.size).toBeGreaterThan(20);
    expect(served.size).toBeLessThan(64);
    const waiting = asked.filter((_, index) => !served.has(clients[index] as never));
    for (const client of served) client.end();
    // As many as there is room for now.
    await Promise.all(waiting.slice(0, 20));
    for (const client of clients) client.end();
  });
});

/** Bun under limits that a shell sets first. */
function limited(limits: string, ...args: string[]) {
  return Bun.spawn(["sh", "-c", `${limits}; exec "$@"`, "sh", process.execPath, ...args], {
    cwd: import.meta.dir,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
}
