/** What `leastwise check` tells of sticky sessions, slow start and backups. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { folderWith } from "../_support/leastwise.ts";

setDefaultTimeout(30_000);

const SECRET = "a secret that nobody may see";

function folder(affinity: object) {
  const backends = [
    { url: "http://127.0.0.1:3001", id: "a" },
    { url: "http://127.0.0.1:3002", id: "b", backup: true },
  ];
  const pools = { web: { backends, affinity, slowStart: { window: "20s" } } };
  return folderWith({ "leastwise.config.json": JSON.stringify({ pools }) });
}

test("check names them, and --json all of their settings but the secret", async () => {
  await using within = await folder({ cookie: "session", ttl: "2h", secret: SECRET });
  const text = await within.run(["check"]);
  expect(text.exitCode).toBe(0);
  expect(text.stdout).toContain("\n  affinity by the cookie session, for 2h\n");
  expect(text.stdout).toContain("\n  slow start over 20s, from 0.1 of the weight\n");
  expect(text.stdout).toContain("\n  backend  b at http://127.0.0.1:3002, weight 1, backup\n");
  const json = await within.run(["check", "--json"]);
  expect(JSON.parse(json.stdout).config.pools[0]).toMatchObject({
    affinity: { cookie: "session", ttlMs: 7_200_000, secret: "set" },
    slowStart: { windowMs: 20_000, minWeight: 0.1, aggression: 1 },
    backends: [{ backup: false }, { backup: true }],
  });
  expect(text.stdout + text.stderr + json.stdout + json.stderr).not.toContain(SECRET);
});

test("check says what it means that there is no secret", async () => {
  await using within = await folder({});
  const { exitCode, stdout } = await within.run(["check"]);
  expect(exitCode).toBe(0);
  expect(stdout).toContain(
    "\n  affinity by the cookie lw, for 1h, no secret: sessions end with the process\n",
  );
});

test("a secret that is too short is refused without being shown", async () => {
  await using within = await folder({ secret: "hunter2" });
  const { exitCode, stderr } = await within.run(["check"]);
  expect(exitCode).toBe(2);
  expect(stderr).toContain("pools.web.affinity.secret");
  expect(stderr).not.toContain("hunter2");
});
