/** What clients see of a stop, with the compiled binary. */
import { describe, expect, test } from "bun:test";
import { startBackendProcess } from "../_support/backend-process.ts";
import { useHarness } from "../_support/harness.ts";
import { connectRaw } from "../_support/raw-client.ts";
import { startStrictLoad } from "../_support/strict-load.ts";

const { backend, proxy } = useHarness();

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

describe("a stop", () => {
  test("under load: whoever is connected gets an answer that ends the connection", async () => {
    const server = await startBackendProcess();
    try {
      const front = await proxy({
        config: { pools: { web: { backends: [server.url] } }, workers: 2 },
      });
      const load = startStrictLoad({
        port: front.port,
        clients: 32,
        request: GET,
        keepAlive: true,
      });
      await load.more(1000);
      expect(await front.stop()).toBe(0);
      const { failures, closed } = await load.stop();
      // New connections are refused from then on, or reset while they wait in the kernel's queue.
      expect(failures["connect"]).toBeGreaterThan(0);
      const others = Object.keys(failures).filter((cause) => !["connect", "reset"].includes(cause));
      expect(others).toEqual([]);
      expect(closed).toBeGreaterThanOrEqual(32);
    } finally {
      await server.stop();
    }
  });

  test("tells clients during its delay to close, and takes new ones for so long", async () => {
    const { url } = backend(() => "ok");
    const front = await proxy({
      config: {
        pools: { web: { backends: [url] } },
        workers: 1,
        shutdown: { delay: "4s", grace: "1s" },
      },
    });
    const kept = await connectRaw(front.port);
    kept.send(GET);
    await kept.until((text) => text.endsWith("ok"));
    expect(kept.received()).not.toMatch(/connection: close/i);
    front.signal("SIGTERM");
    while ((await front.workers())[0]?.state !== "stopping") await Bun.sleep(5);
    expect((await fetch(`${front.admin}/-/ready`)).status).toBe(503);
    kept.send(GET);
    expect(await kept.closed).toBe("fin");
    expect(kept.received()).toMatch(/connection: close(.|\r\n)*ok$/i);
    const late = await connectRaw(front.port);
    late.send(GET);
    await late.closed;
    expect(late.received()).toMatch(/^HTTP\/1.1 200(.|\r\n)*connection: close/i);
    expect(await front.exited).toBe(0);
  });

  test("closes a connection that carries nothing, and is not held up by it", async () => {
    const { url } = backend(() => "ok");
    const front = await proxy({ config: { pools: { web: { backends: [url] } }, workers: 1 } });
    const idle = await connectRaw(front.port);
    idle.send(GET);
    await idle.until((text) => text.endsWith("ok"));
    expect(await front.stop()).toBe(0);
    expect(await idle.closed).toBe("fin");
  });

  test("shows what it still waits for", async () => {
    const silent = backend(() => null);
    const front = await proxy({
      config: { pools: { web: { backends: [silent.url] } }, workers: 1 },
    });
    const client = await connectRaw(front.port);
    client.send(GET);
    await silent.seen(1);
    front.signal("SIGTERM");
    // Null: busy as the machine is, it has not said so within half a second.
    const stopping = async () =>
      (await front.workers()).find(
        ({ state, pendingRequests }) => state === "stopping" && pendingRequests !== null,
      );
    let shown = await stopping();
    for (; shown === undefined; shown = await stopping()) await Bun.sleep(5);
    expect(shown).toMatchObject({ pendingRequests: 1 });
    for (const wire of silent.wires) wire.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    await client.closed;
    expect(client.received()).toEndWith("ok");
    expect(await front.exited).toBe(0);
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("that is followed by %s ends at once with %d", async (signal, code) => {
    const silent = backend(() => null);
    const front = await proxy({ config: { pools: { web: { backends: [silent.url] } } } });
    const client = await connectRaw(front.port);
    client.send(GET);
    await silent.seen(1);
    front.signal("SIGTERM");
    while (!front.log().includes('"message":"stopping"')) await Bun.sleep(5);
    front.signal(signal);
    expect(await front.exited).toBe(code);
    expect(await client.closed).toBeDefined();
  });
});
