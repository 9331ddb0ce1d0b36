/** A strategy that refuses: what `leastwise explain` and the admin API say of it, asked of the compiled binary. */
import { describe, expect, test } from "bun:test";
import type { Proxy } from "../_support/proxy.ts";
import { useHarness } from "../_support/harness.ts";

const { backend, proxy } = useHarness();

/** Refuses what does not have a header field. */
const SCORING = `export default { name: "scoring", apiVersion: 1, create: () => ({
  score: (backend, { request }) => request.headers.has("x-paid") ? backend.inFlight : Infinity }) };`;

function pool(source: string, urls = [backend().url, backend().url]) {
  const backends = ["a", "b"].map((id, index) => ({ id, url: urls[index] ?? "" }));
  const web = { backends, health: false, ejection: false, strategy: "./mine.ts" } as const;
  return { config: { pools: { web }, workers: 1 }, files: { "mine.ts": source } };
}

async function told(front: Proxy, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await front.run("explain", ...args);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  return stdout;
}

interface Explained {
  readonly before: {
    readonly chosen: string | null;
    readonly nobody: string | null;
    readonly shares: Readonly<Record<string, number>>;
    readonly [field: string]: unknown;
  };
}

async function explained(front: Proxy, path: string): Promise<Explained["before"]> {
  return (JSON.parse(await told(front, "--url", path, "--json")) as Explained).before;
}

describe("a request that would be refused", () => {
  test("is refused by candidates that are there, with their scores", async () => {
    const front = await proxy(pool(SCORING));
    await front.run("drain", "b");
    expect(await explained(front, "/")).toMatchObject({
      chosen: null,
      nobody: "refused",
      decidedBy: "score",
      tie: false,
      candidates: [{ id: "a", inFlight: 0, score: "Infinity" }],
      excluded: [{ id: "b", reason: "draining" }],
    });
    const text = await told(front, "--url", "/");
    expect(text).toContain("\n\nscoring refuses it: the client gets a 503\n");
    expect(text).toEndWith(
      "\nBACKEND  IN FLIGHT  WEIGHT  SCORE\n" +
        "a        0          1       Infinity\n" +
        "b        0          1                 draining\n",
    );
  });
});
