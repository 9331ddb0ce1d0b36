/**
 * Backends by name: what happens as long as names are looked up by the system, for each connection. Records that
 * change, and choosing among many addresses, are not looked after yet; nor is TLS to backends.
 */
import { describe, expect, test } from "bun:test";
import { useHarness } from "../_support/harness.ts";
import { folderWith } from "../_support/leastwise.ts";
import { inOrder } from "../_support/ordered-pool.ts";

const { backend, proxy } = useHarness();

/** Reserved for this: RFC 2606, section 2. */
const NO_SUCH_NAME = "http://no-such-backend.invalid:80";

describe("a backend's name that has no address [not G17]", () => {
  test("alone is a 502 that says so, without waiting for any timeout", async () => {
    const timeouts = { connect: "60s", firstByte: "60s" };
    const front = await proxy(inOrder([NO_SUCH_NAME], { timeouts }));
    for (const method of ["GET", "POST"]) {
      const response = await fetch(front.url, { method });
      expect(response.status).toBe(502);
      expect(response.headers.get("proxy-status")).toBe("leastwise; error=dns_error");
      expect(await response.json()).toMatchObject({ error: { code: "dns_failed" } });
    }
  });

  test("costs no request a failure when another backend is there", async () => {
    const good = backend();
    const front = await proxy(inOrder([NO_SUCH_NAME, good.url]));
    expect((await fetch(front.url, { method: "POST", body: "x" })).status).toBe(200);
    expect(good.requests.map(({ text }) => text)).toEqual(["x"]);
  });

  test("is found by probes: the backend is down, and the pool's answer 503", async () => {
    const front = await proxy(inOrder([NO_SUCH_NAME], { health: { interval: "50ms" } }));
    await front.until("it down", ([pool]) => pool?.backends[0]?.health === "unhealthy");
    expect((await fetch(front.url)).status).toBe(503);
  });
});

describe("a name or address of this machine [not G17]", () => {
  test("localhost is found although nobody listens at its other address", async () => {
    const on4 = backend({ hostname: "127.0.0.1" });
    const front = await proxy(inOrder([`http://localhost:${on4.port}`]));
    for (let i = 0; i < 5; i++) expect((await fetch(front.url)).status).toBe(200);
    expect(on4.requests[0]?.header("host")).toBe(new URL(front.url).host);
  });

  // Elsewhere only 127.0.0.1 is set up.
  test.skipIf(process.platform !== "linux")("any address in 127.0.0.0/8 is a backend", async () => {
    const there = backend({ hostname: "127.8.9.10" });
    const front = await proxy(inOrder([there.url]));
    expect((await fetch(front.url)).status).toBe(200);
    expect(there.requests).toHaveLength(1);
  });
});

describe("a backend with https [not G18]", () => {
  test("is refused with the config, so nothing is sent to it in the clear", async () => {
    await using folder = await folderWith({
      "leastwise.config.json": JSON.stringify({
        pools: { web: { backends: ["http://127.0.0.1:3001", "https://127.0.0.1:3002"] } },
      }),
    });
    for (const args of [["check"], ["serve"]]) {
      const run = await folder.run(args);
      expect([run.exitCode, run.stdout]).toEqual([2, ""]);
      expect(run.stderr).toContain("pools.web.backends[1]: ");
      expect(run.stderr).toContain("https to backends is not supported yet");
    }
    const flag = await folder.run(["serve", "--backend", "https://127.0.0.1:3002"]);
    expect(flag.exitCode).toBe(2);
    expect(flag.stderr).toContain("https to backends is not supported yet");
  });
});
