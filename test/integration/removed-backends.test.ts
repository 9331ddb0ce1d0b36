/** Requests that began before a reload took a backend out of its pool. */
import { expect, test } from "bun:test";
import { useHarness } from "../_support/harness.ts";

const { backend, proxy } = useHarness();

test("a request of before is not sent to a backend that is gone, and nothing is counted where that was", async () => {
  // Went wrong: it was retried at `gone`, in the row of the counters that `late` had by then.
  const held = backend(() => {});
  const others = ["gone", "kept", "late"].map((name) => ({ name, server: backend(() => name) }));
  const configOf = (...names: string[]) => ({
    pools: {
      web: {
        backends: [
          { url: held.url, id: "held" },
          ...others
            .filter(({ name }) => names.includes(name))
            .map(({ name, server }) => ({ url: server.url, id: name })),
        ],
        health: false as const,
      },
    },
    workers: 1,
  });
  const front = await proxy({ config: configOf("gone") });
  const drain = async (undo: "drain" | "undrain") => {
    const path = `/api/v1/pools/web/backends/gone/${undo}`;
    expect((await fetch(`${front.admin}${path}`, { method: "POST" })).status).toBe(200);
  };
  await drain("drain");
  const answer = fetch(front.url);
  while (held.requests.length === 0) await Bun.sleep(1);
  await drain("undrain");
  for (const name of ["kept", "late"]) {
    front.configure(configOf(name));
    expect(await front.reload()).toMatchObject({ ok: true });
  }
  for (const wire of held.wires) wire.reset();
  expect((await answer).status).toBe(502);
  expect(others.map(({ name, server }) => [name, server.requests.length])).toEqual([
    ["gone", 0],
    ["kept", 0],
    ["late", 0],
  ]);
  const [pool] = await front.pools();
  expect(pool?.backends.map(({ id, requests, inFlight }) => [id, requests, inFlight])).toEqual([
    ["held", 1, 0],
    ["late", 0, 0],
  ]);
});
