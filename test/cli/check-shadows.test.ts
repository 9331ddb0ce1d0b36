/** What `leastwise check` says of shadows: the same as of the strategy that acts. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { folderWith } from "../_support/leastwise.ts";

// Every run is one or two processes.
setDefaultTimeout(30_000);

const good =
  "export default { name: 'mine', apiVersion: 1, create: () => ({ score: (b) => b.inFlight }) };";

function folderOf(shadow: readonly unknown[], files: Record<string, string> = {}) {
  const pools = { web: { backends: ["http://10.0.0.1"], shadow } };
  return folderWith({ ...files, "leastwise.config.json": JSON.stringify({ pools }) });
}

test("shadows are shown with name, version and where they are from", async () => {
  const shadow = ["./mine.ts", { use: "p2c", options: { choices: 3 } }];
  await using folder = await folderOf(shadow, { "mine.ts": good });
  const [text, data] = await Promise.all([folder.run(["check"]), folder.run(["check", "--json"])]);
  expect(text).toMatchObject({ exitCode: 0, stderr: "" });
  expect(text.stdout).toMatch(/^ {2}shadow {3}mine [0-9a-z]+ \(.*\/mine\.ts\)$/m);
  expect(text.stdout).toMatch(/^ {2}shadow {3}p2c \S+ \(built-in\)$/m);
  const { shadows, config } = JSON.parse(data.stdout);
  expect(shadows.web.map(({ name }: { name: string }) => name)).toEqual(["mine", "p2c"]);
  expect(config.pools[0].shadow).toEqual([
    { kind: "file", file: `${folder.path}/mine.ts` },
    { kind: "built-in", name: "p2c", options: { choices: 3 } },
  ]);
});

test("all their mistakes are told at once, each at its place", async () => {
  const shadow = ["./broken.ts", { use: "p2c", options: { choices: 0 } }, "./gone.ts", "p3c"];
  await using folder = await folderOf(shadow, {
    "broken.ts": good.replace("apiVersion: 1", "apiVersion: 9"),
  });
  const { exitCode, stdout, stderr } = await folder.run(["check"]);
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
  expect(stderr).toContain(`${folder.path}/broken.ts: apiVersion is 9, but`);
  expect(stderr).toContain("pools.web.shadow[1].options: p2c rejects its options");
  expect(stderr).toContain('pools.web.shadow[2]: found "./gone.ts", but there is no such file');
  expect(stderr).toContain('pools.web.shadow[3]: found "p3c", allowed least-connections,');
  expect(stderr).toContain('did you mean "p2c"?');
});
