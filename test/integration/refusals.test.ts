/** A strategy that refuses: what `leastwise explain` and the admin API say of it, asked of the compiled binary. */
import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leastwiseBinary } from "../_support/binary.ts";
import type { Proxy } from "../_support/proxy.ts";
import { traceOf, useTracing } from "../_support/traced-proxy.ts";

const { backend, collector, proxy, tracedProxy } = useTracing();

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT = { traceparent: `00-${TRACE}-00f067aa0ba902b7-01` };

/** Does as the path says: of ten picks for `/seldom` it refuses three, and seven for `/mostly`. */
const REFUSING = `export default { name: "refusing", apiVersion: 1, create: ({ random }) => ({
  pick(list, { request: { path }, attempt }) {
    if (path === "/again" && attempt > 1) return null;
    if (path === "/seldom" && random() < 0.3) return null;
    if (path === "/mostly" && random() < 0.7) return null;
    return list[Math.floor(random() * list.length)]; } }) };`;
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

  test("by chance is told with how often, in words and in the table", async () => {
    const front = await proxy(pool(REFUSING));
    const seldom = await explained(front, "/seldom");
    expect(seldom).toMatchObject({ nobody: null });
    const { "(refused)": refusals = 0 } = seldom.shares;
    expect(Math.abs(refusals - 300)).toBeLessThan(60);
    const text = await told(front, "--url", "/seldom");
    expect(text).toContain(` of 1,000 picks of refusing, which refuses ${refusals}: the client`);
    expect(text).toMatch(new RegExp(`\\n\\(refused\\) +${refusals}\\n$`));

    const mostly = await explained(front, "/mostly");
    expect(mostly).toMatchObject({ chosen: null, nobody: "refused" });
    const most = mostly.shares["(refused)"] ?? 0;
    const mostlyText = await told(front, "--url", "/mostly");
    expect(mostlyText).toContain(
      `: refusing refuses ${most} of 1,000 picks, and the client gets a 503 then\n`,
    );
    expect(mostlyText).toMatch(new RegExp(`PICKS\\n\\(refused\\) +${most} +<- most often\\n`));
  });
});

async function decisions(front: Proxy): Promise<unknown[]> {
  return (await (await fetch(`${front.admin}/api/v1/decisions`)).json()) as unknown[];
}

describe("a request that was refused", () => {
  const off = { OTEL_TRACES_EXPORTER: "otlp", OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9" };

  async function testRun(front: Proxy, file: string): Promise<string> {
    const child = Bun.spawn([await leastwiseBinary(), "plugin", "test", file], {
      cwd: front.folder,
      stdio: ["ignore", "ignore", "pipe"],
    });
    const [stderr, exitCode] = await Promise.all([child.stderr.text(), child.exited]);
    return `${exitCode} ${stderr}`;
  }

  test("is among the last decisions, though nobody was chosen", async () => {
    const front = await proxy(pool(SCORING));
    expect((await fetch(`${front.url}/buy`)).status).toBe(503);
    expect(await decisions(front)).toMatchObject([
      {
        chosen: null,
        decidedBy: "score",
        traceId: null,
        attempt: 1,
        fallback: false,
        tie: false,
        candidates: [
          { id: "a", score: "Infinity" },
          { id: "b", score: "Infinity" },
        ],
        excluded: [],
        request: { path: "/buy", headers: { "x-paid": null } },
      },
    ]);
  });

  test("is told by its trace, and as a test that passes while it still is", async () => {
    const receiver = collector();
    const front = await tracedProxy(receiver, pool(SCORING));
    const refused = await fetch(`${front.url}/buy`, { headers: TRACEPARENT });
    expect(refused.status).toBe(503);
    const text = await told(front, "--trace", TRACE);
    expect(text).toStartWith(`attempt 1 of trace ${TRACE}, 20`);
    expect(text).toContain("\nscoring refuses it: the client gets a 503\n");
    expect(text).toMatch(/\na +0 +1 +Infinity\nb +0 +1 +Infinity\n$/);
    // No attempt was made, and so no span is there that could have it.
    const { server, attempts } = traceOf(await receiver.spans(1));
    expect(server.attributes["error.type"]).toBe("strategy_refused");
    expect(attempts).toEqual([]);

    const written = await told(front, "--trace", TRACE, "--as-test", "--json");
    const { file, notes } = JSON.parse(written) as { file: string; notes: string[] };
    expect(notes).toEqual([]);
    const source = readFileSync(join(front.folder, file), "utf8");
    expect(source).toContain('test("GET /buy is refused: attempt 1 of trace ');
    expect(source).toContain("  expect(pool.pick(request)).toBe(null);\n");
    expect(await testRun(front, file)).toMatch(/^0 [^]* 1 pass\n 0 fail/);
    writeFileSync(join(front.folder, "mine.ts"), SCORING.replace(": Infinity", ": 1"));
    expect(await testRun(front, file)).toMatch(/^1 [^]* 0 pass\n 1 fail/);
  });

  test("by chance has a test that holds that it was possible", async () => {
    const front = await tracedProxy(null, { ...pool(REFUSING), env: off });
    let trace = "";
    for (let status = 0, sent = 1; status !== 503; sent++) {
      trace = sent.toString(16).padStart(32, "0");
      const headers = { traceparent: `00-${trace}-00f067aa0ba902b7-01` };
      ({ status } = await fetch(`${front.url}/mostly`, { headers }));
    }
    const written = await told(front, "--trace", trace, "--as-test", "--json");
    const { file, test: source } = JSON.parse(written) as { file: string; test: string };
    expect(source).toContain("    return pool.pick(request);\n");
    expect(source).toContain("  expect(picks).toContain(null);\n");
    expect(await testRun(front, file)).toMatch(/^0 [^]* 1 pass\n 0 fail/);
  });

  test("a second time got what became of its first attempt, which is said", async () => {
    const gone = backend((_, wire) => wire.reset());
    const front = await tracedProxy(null, { ...pool(REFUSING, [gone.url, gone.url]), env: off });
    expect((await fetch(`${front.url}/again`, { headers: TRACEPARENT })).status).toBe(502);
    const [first, second] = (await told(front, "--trace", TRACE)).split("\n\nattempt 2 of trace ");
    expect(first).toContain("refusing picks it");
    expect(second).toContain(
      "\n\nrefusing refuses another attempt: the client gets what became of the one before\n",
    );
  });
});
