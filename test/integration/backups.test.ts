/** Backups through the compiled binary. */
import { expect, test } from "bun:test";
import { useHarness } from "../_support/harness.ts";

const { backend, deadBackend, proxy } = useHarness();

async function nameOf(url: string): Promise<string> {
  return await (await fetch(url)).text();
}

test("a backup serves when probes find the others down, and no longer when one is back", async () => {
  let up = true;
  const main = backend(({ target }) => (target === "/up" && !up ? { status: 503 } : "main"));
  const spare = backend(() => "spare");
  const health = { path: "/up", interval: "50ms", rise: 1, fall: 1 };
  const backends = [
    { url: main.url, id: "main" },
    { url: spare.url, id: "spare", backup: true },
  ];
  const front = await proxy({ config: { pools: { web: { backends, health } }, workers: 2 } });
  for (let i = 0; i < 10; i++) expect(await nameOf(front.url)).toBe("main");
  up = false;
  await front.until("main is down", ([pool]) => pool?.backends[0]?.health === "unhealthy");
  for (let i = 0; i < 10; i++) expect(await nameOf(front.url)).toBe("spare");
  up = true;
  await front.until("main is up", ([pool]) => pool?.backends[0]?.health === "healthy");
  for (let i = 0; i < 10; i++) expect(await nameOf(front.url)).toBe("main");
  expect((await front.pools())[0]?.backends.map(({ backup }) => backup)).toEqual([false, true]);
  expect((await front.run("status")).stdout).toMatch(/^spare +healthy, backup /m);
});

test("a backup takes the request that no other backend would", async () => {
  const dead = deadBackend();
  const spare = backend(() => "spare");
  const backends = [dead.url, { url: spare.url, backup: true }];
  const web = { backends, health: false, ejection: false } as const;
  const front = await proxy({ config: { pools: { web }, workers: 1 } });
  for (let i = 0; i < 3; i++) expect(await nameOf(front.url)).toBe("spare");
});

test("a reload makes a backup of a backend, and a backend of a backup", async () => {
  const [one, two] = [backend(() => "one"), backend(() => "two")];
  const config = (backup: string) => ({
    pools: {
      web: { backends: [one, two].map(({ url }) => ({ url, backup: url === backup })) },
    },
    workers: 1,
  });
  const front = await proxy({ config: config(two.url) });
  for (let i = 0; i < 5; i++) expect(await nameOf(front.url)).toBe("one");
  front.configure(config(one.url));
  expect(await front.reload()).toMatchObject({ ok: true });
  for (let i = 0; i < 5; i++) expect(await nameOf(front.url)).toBe("two");
});
