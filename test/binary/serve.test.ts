import { beforeAll, expect, test } from "bun:test";
import { BUILD_TIMEOUT_MS, createBareFolder, leastwiseBinary } from "../_support/binary.ts";
import { createHostileFolder, isHarmed } from "../_support/hostile-folder.ts";
import { startServing } from "../_support/serving.ts";

beforeAll(async () => {
  await leastwiseBinary();
}, BUILD_TIMEOUT_MS);

interface Backend extends AsyncDisposable {
  readonly url: string;
}

function startBackend(): Backend {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => new Response(`backend got ${new URL(request.url).pathname}`),
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

test("a backend is answered through it from an empty folder with an empty PATH", async () => {
  await using folder = await createBareFolder();
  await using backend = startBackend();
  await using serving = await startServing(folder, `--backend=${backend.url}`);
  const response = await fetch(`${serving.url}/some/path`);
  expect({ status: response.status, body: await response.text() }).toEqual({
    status: 200,
    body: "backend got /some/path",
  });
  expect(await serving.stop()).toBe(0);
});

test.each([
  ["ts", (url: string) => `export default { pools: { web: { backends: ["${url}"] } } };`],
  ["json", (url: string) => JSON.stringify({ pools: { web: { backends: [url] } } })],
  ["yaml", (url: string) => `pools:\n  web:\n    backends: ["${url}"]\n`],
  ["toml", (url: string) => `[pools.web]\nbackends = ["${url}"]\n`],
])("a config file in %s is found, checked and served", async (extension, render) => {
  await using folder = await createBareFolder();
  await using backend = startBackend();
  await folder.write(`leastwise.config.${extension}`, render(backend.url));
  const { exitCode, stderr } = await folder.run("check");
  expect(exitCode, stderr).toBe(0);
  await using serving = await startServing(folder);
  const response = await fetch(serving.url);
  expect(await response.text()).toBe("backend got /");
});

test("workers are as deaf to a hostile folder as the program itself", async () => {
  await using folder = await createHostileFolder();
  await using backend = startBackend();
  await using serving = await startServing(
    folder,
    `--backend=${backend.url}`,
    "--strategy=./mine.ts",
  );
  const response = await fetch(serving.url);
  expect({ body: await response.text(), harmed: await isHarmed(folder) }).toEqual({
    body: "backend got /",
    harmed: false,
  });
});
