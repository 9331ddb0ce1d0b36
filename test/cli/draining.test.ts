/** What `drain`, `reload` and `status` say when something is in the way. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { folderWith } from "../_support/leastwise.ts";

setDefaultTimeout(30_000);

interface FakeAdmin extends Disposable {
  readonly address: string;
}

const STATE = { id: "a:1", url: "http://a:1", inFlight: 0, draining: true };

/** An admin API with the backend a:1 in these pools; a POST for one of `failing` goes wrong. */
function startAdmin(pools: readonly string[], failing: readonly string[] = []): FakeAdmin {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      if (request.method === "GET") {
        return Response.json(pools.map((name) => ({ name, backends: [STATE] })));
      }
      const fails = failing.some((name) => request.url.includes(`/pools/${name}/`));
      return fails
        ? Response.json({ error: { message: "the pool was just removed" } }, { status: 404 })
        : Response.json(STATE);
    },
  });
  return {
    address: `127.0.0.1:${server.port}`,
    [Symbol.dispose]: () => void server.stop(true),
  };
}

describe("a backend in several pools", () => {
  test("is drained in the others when it cannot be in one, and both are said", async () => {
    using admin = startAdmin(["one", "two", "three"], ["two"]);
    await using folder = await folderWith({});
    const run = await folder.run(["drain", "a:1", "--admin", admin.address]);
    expect(run.exitCode).toBe(1);
    expect(run.stdout).toContain("a:1 in pool one gets no new requests");
    expect(run.stdout).toContain("a:1 in pool three gets no new requests");
    expect(run.stderr).toBe(
      `leastwise: a:1 is not drained in every pool\n  pool two: ${admin.address} answered 404: the pool was just removed\n`,
    );
  });

  test("is told of as JSON as far as it came", async () => {
    using admin = startAdmin(["one", "two"], ["two"]);
    await using folder = await folderWith({});
    const run = await folder.run(["undrain", "a:1", "--json", "--admin", admin.address]);
    expect(run.exitCode).toBe(1);
    expect(JSON.parse(run.stdout)).toEqual([{ pool: "one", ...STATE }]);
    expect(run.stderr).toContain("a:1 is not undrained in every pool\n  pool two: ");
  });
});

describe("a config file that is broken", () => {
  test("keeps nobody from asking at an address that is given", async () => {
    using admin = startAdmin(["one"]);
    await using folder = await folderWith({ "leastwise.config.json": `{"pools": ` });
    const run = await folder.run(["drain", "a:1", "--admin", admin.address]);
    expect(run).toMatchObject({ exitCode: 0, stderr: "" });
  });

  test("is told of where it would have named the address, with the way around it", async () => {
    await using folder = await folderWith({ "leastwise.config.json": `{"pools": ` });
    const run = await folder.run(["drain", "a:1"]);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toContain("leastwise.config.json:1");
    expect(run.stderr).toContain("--admin: found none, and the config file that may name");
  });

  test("is told of when it is given", async () => {
    using admin = startAdmin(["one"]);
    await using folder = await folderWith({ "other.json": `{"pools": ` });
    const flags = ["--config", "other.json", "--admin", admin.address];
    const run = await folder.run(["drain", "a:1", ...flags]);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toContain("other.json:1");
  });
});

test("a master that is stopped before it has answered is not taken for none", async () => {
  using server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (socket) => void socket.end() },
  });
  const address = `127.0.0.1:${server.port}`;
  await using folder = await folderWith({});
  const run = await folder.run(["reload", "--admin", address]);
  expect(run.exitCode).toBe(1);
  expect(run.stderr).toBe(
    `leastwise: ${address} ended the connection before it had answered: has leastwise been stopped? What was asked may have been done: leastwise status shows.\n`,
  );
});
