/** `leastwise serve --watch`: files that change bring a reload. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createBareFolder } from "../_support/binary.ts";
import { useHarness } from "../_support/harness.ts";
import type { Proxy } from "../_support/proxy.ts";

const { backend, proxy } = useHarness();

function strategy(version: string): string {
  return `import { say } from "./words.ts";
    export default { name: "mine", apiVersion: 1, create: (env) => {
      env.log.info(say("${version}")); return { score: () => 0 }; } };`;
}

function words(suffix: string): string {
  return `export const say = (word: string): string => "made " + word + " ${suffix}";`;
}

async function start(files: Record<string, string> = {}, env: Record<string, string> = {}) {
  const { url } = backend();
  const config = { pools: { web: { backends: [url], strategy: "./mine.ts" } }, workers: 1 };
  const flags = Object.keys(env).length === 0 ? ["--watch"] : [];
  const front = await proxy({
    config,
    flags,
    env,
    files: { "mine.ts": strategy("one"), "words.ts": words("plain"), ...files },
  });
  return { front, config };
}

async function says(front: Proxy, text: string): Promise<void> {
  while (!front.log().includes(text)) await Bun.sleep(5);
}

async function reloads(front: Proxy): Promise<number> {
  const { reloads: count } = (await (await fetch(`${front.admin}/api/v1/reload`)).json()) as {
    reloads: number;
  };
  return count;
}

describe("with --watch", () => {
  test("the config, a strategy and what it imports are loaded when they change, once each", async () => {
    const { front, config } = await start();
    writeFileSync(join(front.folder, "mine.ts"), strategy("two"));
    await says(front, "made two plain");
    // As editors do it.
    writeFileSync(join(front.folder, "words.ts~"), words("fancy"));
    renameSync(join(front.folder, "words.ts~"), join(front.folder, "words.ts"));
    await says(front, "made two fancy");
    const { web } = config.pools;
    front.configure({ ...config, pools: { web: { ...web, hostHeader: "backend" } } });
    const messages = () => front.log().split('"configuration reloaded"').length - 1;
    while (messages() < 3) await Bun.sleep(5);
    expect(front.log()).toContain('"trigger":"changed files"');
    await Bun.sleep(500);
    expect(await reloads(front)).toBe(3);
  });

  test("a change that is wrong leaves the old in force, and putting it right is enough", async () => {
    const { front } = await start();
    writeFileSync(join(front.folder, "mine.ts"), "export default {");
    await says(front, "reload refused");
    expect((await fetch(front.url)).status).toBe(200);
    writeFileSync(join(front.folder, "mine.ts"), strategy("three"));
    await says(front, "made three plain");
    expect((await fetch(front.url)).status).toBe(200);
  });

  test("a strategy that the config names before it is there is taken when it comes", async () => {
    const { front, config } = await start();
    mkdirSync(join(front.folder, "strategies"));
    const { web } = config.pools;
    front.configure({ ...config, pools: { web: { ...web, strategy: "./strategies/new.ts" } } });
    await says(front, "there is no such file");
    writeFileSync(
      join(front.folder, "strategies/new.ts"),
      strategy("four").replace("./words.ts", "../words.ts"),
    );
    await says(front, "made four plain");
  });

  test("a swapped link, as of a Kubernetes ConfigMap, is one change of all files behind it", async () => {
    await using folder = await createBareFolder();
    const { url } = backend();
    const fill = (name: string, version: string): void => {
      mkdirSync(join(folder.path, name));
      const write = (file: string, text: string) =>
        writeFileSync(join(folder.path, name, file), text);
      write("mine.ts", strategy(version));
      write("words.ts", words("plain"));
      write(
        "leastwise.config.ts",
        `import { say } from "./words.ts";
        console.error("config " + say("${version}"));
        export default { pools: { web: { backends: ["${url}"], strategy: "./mine.ts" } }, workers: 1 };`,
      );
    };
    fill("..1", "one");
    symlinkSync("..1", join(folder.path, "..data"));
    for (const file of ["mine.ts", "words.ts", "leastwise.config.ts"]) {
      symlinkSync(`..data/${file}`, join(folder.path, file));
    }
    const front = await proxy({
      config: { pools: { web: { backends: [url] } } },
      flags: [
        "--watch",
        `--config=${join(folder.path, "leastwise.config.ts")}`,
        "--listen=127.0.0.1:0",
        "--admin=127.0.0.1:0",
      ],
    });
    fill("..2", "two");
    symlinkSync("..2", join(folder.path, "..new"));
    renameSync(join(folder.path, "..new"), join(folder.path, "..data"));
    rmSync(join(folder.path, "..1"), { recursive: true });
    await says(front, "config made two plain");
    await says(front, '"message":"made two plain"');
    await Bun.sleep(500);
    expect(await reloads(front)).toBe(1);
  });

  test("a start that fails ends all the same", async () => {
    await using folder = await createBareFolder();
    const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    await folder.write("mine.ts", strategy("one"));
    await folder.write("words.ts", words("plain"));
    const { exitCode, stderr } = await folder.run(
      "serve",
      "--watch",
      "--strategy=./mine.ts",
      "--backend=http://127.0.0.1:1",
      `--listen=127.0.0.1:${taken.port}`,
      "--admin=127.0.0.1:0",
    );
    taken.stop(true);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("taken by another program");
  });

  test("or LEASTWISE_WATCH=true", async () => {
    const { front } = await start({}, { LEASTWISE_WATCH: "true" });
    writeFileSync(join(front.folder, "mine.ts"), strategy("two"));
    await says(front, "made two plain");
  });
});

test("without it nothing is loaded that nobody asked for", async () => {
  const { front } = await start({}, { LEASTWISE_WATCH: "false" });
  writeFileSync(join(front.folder, "mine.ts"), strategy("two"));
  await Bun.sleep(500);
  expect(await reloads(front)).toBe(0);
});
