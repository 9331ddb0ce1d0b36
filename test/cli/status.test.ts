/** `leastwise status`: where it asks, and to whom it gives a token. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { folderWith } from "../_support/leastwise.ts";

// Every run is one or two processes.
setDefaultTimeout(30_000);

interface Recorder extends Disposable {
  readonly address: string;
  /** The Authorization field of each request, null where there was none. */
  readonly tokens: (string | null)[];
  readonly hosts: (string | null)[];
}

/** Questions of one `leastwise status`. */
const QUESTIONS = 3;

/** Answers every request as an admin API without pools and workers does. */
function startRecorder(unix?: string): Recorder {
  const tokens: (string | null)[] = [];
  const hosts: (string | null)[] = [];
  const fetch = (request: Request): Response => {
    tokens.push(request.headers.get("authorization"));
    hosts.push(request.headers.get("host"));
    const isReload = new URL(request.url).pathname === "/api/v1/reload";
    const reload = { file: null, loadedAt: "2026-01-01T00:00:00.000Z", reloads: 0, last: null };
    return Response.json(isReload ? reload : []);
  };
  const server = Bun.serve(
    unix === undefined ? { hostname: "127.0.0.1", port: 0, fetch } : { unix, fetch },
  );
  return {
    address: unix === undefined ? `127.0.0.1:${server.port}` : `unix:${unix}`,
    tokens,
    hosts,
    [Symbol.dispose]: () => void server.stop(true),
  };
}

function folderOf(admin: object) {
  return folderWith({ "leastwise.config.json": JSON.stringify({ admin }) });
}

/** What a run told with each request: the same every time. */
function tokenOf({ tokens }: Recorder): string | null {
  expect(tokens).toHaveLength(QUESTIONS);
  expect(new Set(tokens).size).toBe(1);
  return tokens[0] ?? null;
}

// fetch obeys these variables, also for loopback addresses.
test("no proxy of the environment sees the question, let alone the token", async () => {
  using admin = startRecorder();
  using proxy = startRecorder();
  await using folder = await folderOf({ address: admin.address, token: "s3cret" });
  const url = `http://${proxy.address}`;
  const env = { HTTP_PROXY: url, http_proxy: url, ALL_PROXY: url, NODE_USE_ENV_PROXY: "1" };
  const { exitCode } = await folder.run(["status"], env);
  expect(exitCode).toBe(0);
  expect(proxy.tokens).toEqual([]);
  expect(tokenOf(admin)).toBe("Bearer s3cret");
  expect(admin.hosts).toEqual(Array(QUESTIONS).fill(admin.address));
});

test("a unix socket is asked as localhost", async () => {
  await using folder = await folderWith({});
  using admin = startRecorder(join(folder.path, "admin.sock"));
  const { exitCode } = await folder.run(["status", "--admin", admin.address]);
  expect(exitCode).toBe(0);
  expect(admin.hosts).toEqual(Array(QUESTIONS).fill("localhost"));
});

describe("the config's token goes to the config's own address only", () => {
  const elsewhere = { address: "127.0.0.1:1", token: "s3cret" };

  test("named by a flag", async () => {
    using admin = startRecorder();
    await using own = await folderOf({ address: admin.address, token: "s3cret" });
    await own.run(["status", "--admin", admin.address]);
    expect(tokenOf(admin)).toBe("Bearer s3cret");
  });

  test("not to another one that a flag names", async () => {
    using admin = startRecorder();
    await using folder = await folderOf(elsewhere);
    expect((await folder.run(["status", "--admin", admin.address])).exitCode).toBe(0);
    expect(tokenOf(admin)).toBeNull();
  });

  test("not to another one that LEASTWISE_ADMIN names", async () => {
    using admin = startRecorder();
    await using folder = await folderOf(elsewhere);
    expect((await folder.run(["status"], { LEASTWISE_ADMIN: admin.address })).exitCode).toBe(0);
    expect(tokenOf(admin)).toBeNull();
  });

  test("another one gets LEASTWISE_ADMIN_TOKEN", async () => {
    using admin = startRecorder();
    await using folder = await folderOf(elsewhere);
    const env = { LEASTWISE_ADMIN_TOKEN: "other" };
    const { exitCode, stderr } = await folder.run(["status", "--admin", admin.address], env);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(tokenOf(admin)).toBe("Bearer other");
  });
});

test("a token that no header can hold is a mistake, and is not shown", async () => {
  await using folder = await folderWith({});
  const env = { LEASTWISE_ADMIN_TOKEN: "my secret" };
  const { exitCode, stderr } = await folder.run(["status", "--admin", "127.0.0.1:1"], env);
  expect(exitCode).toBe(2);
  expect(stderr).toContain("LEASTWISE_ADMIN_TOKEN: ");
  expect(stderr).not.toContain("secret");
});

test("who is refused for want of a token learns where to give one", async () => {
  await using folder = await folderWith({});
  using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => Response.json({ error: { message: "needs a token" } }, { status: 401 }),
  });
  const address = `127.0.0.1:${server.port}`;
  const { exitCode, stderr } = await folder.run(["status", "--admin", address]);
  expect(exitCode).toBe(1);
  expect(stderr).toStartWith(`leastwise: ${address} answered 401: needs a token`);
  expect(stderr).toContain("LEASTWISE_ADMIN_TOKEN");
});

test("another server's page is not shown", async () => {
  await using folder = await folderWith({});
  using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () =>
      new Response("<html>gone</html>", { status: 404, headers: { "content-type": "text/html" } }),
  });
  const address = `127.0.0.1:${server.port}`;
  const { exitCode, stderr } = await folder.run(["status", "--admin", address]);
  expect(stderr).toBe(
    `leastwise: ${address} is no admin address of leastwise (it answered 404 with text/html)\n`,
  );
  expect(exitCode).toBe(1);
});

test.each([
  ["http://127.0.0.1:9900", "(leave out http://)"],
  [":9900", "(no host; perhaps 127.0.0.1:9900)"],
])("for the address %s there is a hint: %s", async (address, hint) => {
  await using folder = await folderWith({});
  const { exitCode, stderr } = await folder.run(["status", "--admin", address]);
  expect(stderr).toContain(`--admin: found "${address}" ${hint}, allowed host:port`);
  expect(exitCode).toBe(2);
});

test("the help names the token's variable", async () => {
  await using folder = await folderWith({});
  expect((await folder.run(["status", "--help"])).stdout).toContain("LEASTWISE_ADMIN_TOKEN");
});
