/** `/metrics` of a running binary with two workers, compared with what was sent. */
import { describe, expect, test } from "bun:test";
import type { FakeRequest } from "../_support/fake-request.ts";
import { useHarness } from "../_support/harness.ts";
import { load, sendMany } from "../_support/load.ts";
import { OtlpReceiver } from "../_support/otlp-receiver.ts";
import { matching, parseSamples, type Sample, sumOf } from "../_support/prometheus-text.ts";
import { isQuiet, type Proxy } from "../_support/proxy.ts";
import { exchangeRaw } from "../_support/raw-client.ts";

const harness = useHarness();

const SERVER = "http_server_request_duration_seconds_count";
const CLIENT = "http_client_request_duration_seconds_count";

async function scrape(proxy: Proxy, accept?: string): Promise<{ text: string; type: string }> {
  const headers = accept === undefined ? {} : { accept };
  const response = await fetch(`${proxy.admin}/metrics`, { headers });
  expect(response.status).toBe(200);
  return { text: await response.text(), type: response.headers.get("content-type") ?? "" };
}

async function samples(proxy: Proxy): Promise<Sample[]> {
  return parseSamples((await scrape(proxy)).text);
}

/** Once nothing is under way: what a client has seen ended has been counted then. */
async function settled(proxy: Proxy): Promise<Sample[]> {
  let all: Sample[] = [];
  await proxy.until("nothing in flight", isQuiet);
  await waitFor("no active request", async () => {
    all = await samples(proxy);
    return sumOf(all, "http_server_active_requests") === 0;
  });
  return all;
}

async function waitFor(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`never saw ${what}`);
    await Bun.sleep(5);
  }
}

function portOf(url: string): string {
  return new URL(url).port;
}

describe("after requests over two workers", () => {
  test("the totals are exactly what was sent, by status and backend", async () => {
    const backends = [1, 2, 3].map(() =>
      harness.backend((request) => ({
        status: request.target.includes("missing") ? 404 : 200,
        body: "x",
      })),
    );
    const proxy = await harness.proxy({
      config: {
        workers: 2,
        pools: { web: { backends: backends.map(({ url }) => url), health: false } },
      },
    });
    await sendMany(`${proxy.url}/found?q=1`, 300, 20);
    await sendMany(`${proxy.url}/missing`, 100, 20);
    await (await fetch(proxy.url, { method: "POST", body: "form" })).text();
    const all = await settled(proxy);
    const GET = { http_request_method: "GET", url_scheme: "http", leastwise_pool: "web" };
    expect(sumOf(all, SERVER, { ...GET, http_response_status_code: "200" })).toBe(300);
    expect(sumOf(all, SERVER, { ...GET, http_response_status_code: "404" })).toBe(100);
    expect(sumOf(all, SERVER, { http_request_method: "POST" })).toBe(1);
    expect(sumOf(all, SERVER)).toBe(401);
    for (const backend of backends) {
      const labels = { server_address: "127.0.0.1", server_port: portOf(backend.url) };
      const got = (status: string) =>
        sumOf(all, CLIENT, { ...labels, http_response_status_code: status });
      const missing = backend.requests.filter(({ target }) => target === "/missing").length;
      expect(missing).toBeGreaterThan(0);
      expect(got("404")).toBe(missing);
      expect(sumOf(all, CLIENT, { ...labels, error_type: "404" })).toBe(missing);
      expect(got("200")).toBe(backend.requests.length - missing);
      expect(sumOf(all, "leastwise_backend_requests_total", labels)).toBe(backend.requests.length);
      expect(sumOf(all, "leastwise_backend_up", labels)).toBe(1);
    }
    expect(sumOf(all, "leastwise_pick_duration_seconds_count")).toBe(401);
    expect(sumOf(all, "leastwise_workers")).toBe(2);
    expect(sumOf(all, "leastwise_config_reloads_total")).toBe(0);
    expect(sumOf(all, "leastwise_config_last_reload_success")).toBe(1);
    expect(matching(all, "target_info")[0]?.labels).toMatchObject({ service_name: "leastwise" });
    expect(
      all.every(
        ({ name, labels }) => name === "target_info" || labels["otel_scope_name"] === "leastwise",
      ),
    ).toBe(true);
  });

  test("a request under way is active, at its backend too", async () => {
    const hold = Promise.withResolvers<string>();
    const backend = harness.backend(() => hold.promise);
    const proxy = await harness.proxy({
      config: { workers: 2, pools: { web: { backends: [backend.url], health: false } } },
    });
    const answer = fetch(proxy.url);
    await proxy.until("one in flight", ([pool]) => pool?.backends[0]?.inFlight === 1);
    // It is in flight before its connection is open.
    await backend.seen(1);
    const during = await samples(proxy);
    expect(sumOf(during, "http_server_active_requests", { http_request_method: "GET" })).toBe(1);
    expect(sumOf(during, "http_client_active_requests", { server_port: portOf(backend.url) })).toBe(
      1,
    );
    expect(sumOf(during, "http_client_open_connections", { http_connection_state: "active" })).toBe(
      1,
    );
    hold.resolve("done");
    await (await answer).text();
    expect(sumOf(await settled(proxy), "http_client_active_requests")).toBe(0);
  });

  test("retries and ejections are told by reason", async () => {
    const dead = harness.deadBackend();
    const live = harness.backend(() => "x");
    const proxy = await harness.proxy({
      config: {
        workers: 1,
        pools: {
          web: {
            backends: [dead.url, live.url],
            health: false,
            ejection: { failures: 2, base: "60s" },
          },
        },
      },
    });
    // No more than there may be retries, however long the master takes to eject.
    await sendMany(proxy.url, 20, 5);
    await proxy.until(
      "an ejection",
      ([pool]) => pool?.backends.some(({ ejectedUntil }) => ejectedUntil !== null) ?? false,
    );
    await sendMany(proxy.url, 30, 5);
    const all = await settled(proxy);
    const out = { server_port: portOf(dead.url) };
    const retries = sumOf(all, "leastwise_retries_total", { leastwise_retry_reason: "connect" });
    expect(retries).toBeGreaterThan(1);
    expect(sumOf(all, CLIENT, { ...out, error_type: "connect_refused" })).toBe(retries);
    expect(sumOf(all, CLIENT, { server_port: portOf(live.url) })).toBe(50);
    const ejections = (reason: string) =>
      sumOf(all, "leastwise_backend_ejections_total", {
        leastwise_ejection_reason: reason,
        ...out,
      });
    expect(ejections("failures")).toBe(1);
    expect(matching(all, "leastwise_backend_ejections_total")).toHaveLength(4);
    const state = (leastwise_backend_state: string) =>
      sumOf(all, "leastwise_backend_status", { leastwise_backend_state, ...out });
    expect(state("ejected")).toBe(1);
    expect(state("available")).toBe(0);
    expect(sumOf(all, "leastwise_backend_failures_total", out)).toBe(retries);
  });

  test("what probes find is told", async () => {
    const dead = harness.deadBackend();
    const proxy = await harness.proxy({
      config: {
        workers: 1,
        pools: { web: { backends: [dead.url], health: { interval: "50ms" }, ejection: false } },
      },
    });
    await proxy.until("a backend that is down", ([pool]) =>
      (pool?.backends ?? []).every(({ health }) => health === "unhealthy"),
    );
    const all = await samples(proxy);
    expect(sumOf(all, "leastwise_backend_up")).toBe(0);
    expect(matching(all, "leastwise_backend_up")).toHaveLength(1);
    const down = { leastwise_backend_state: "down" };
    expect(sumOf(all, "leastwise_backend_status", down)).toBe(1);
    const change = { leastwise_health: "unhealthy", server_port: portOf(dead.url) };
    expect(sumOf(all, "leastwise_backend_health_changes_total", change)).toBe(1);
  });

  test("a strategy's faults, quarantine and own counters are told", async () => {
    const backend = harness.backend(() => "x");
    const proxy = await harness.proxy({
      config: {
        workers: 1,
        pools: { web: { backends: [backend.url], health: false, strategy: "./broken.ts" } },
      },
      files: {
        "broken.ts": `export default { name: "broken", apiVersion: 1, create: (env) => ({
  score(backend, { request }) {
    env.counter("picks").add();
    if (request.path === "/broken") throw new Error("broken");
    return 1;
  },
}) };`,
      },
    });
    await sendMany(proxy.url, 3, 1);
    await sendMany(`${proxy.url}/broken`, 37, 1);
    const all = await settled(proxy);
    const labels = { leastwise_pool: "web", leastwise_strategy: "broken" };
    const faults = sumOf(all, "leastwise_pick_errors_total", labels);
    expect(faults).toBe(10);
    expect(
      sumOf(all, "leastwise_strategy_faults_total", {
        ...labels,
        leastwise_strategy_method: "score",
      }),
    ).toBe(10);
    expect(sumOf(all, "leastwise_strategy_quarantined", labels)).toBe(1);
    expect(
      sumOf(all, "leastwise_strategy_events_total", {
        ...labels,
        leastwise_counter_name: "picks",
      }),
    ).toBe(13);
    expect(sumOf(all, "leastwise_pick_fallbacks_total", labels)).toBe(37);
  });
});

test("after a worker was killed under load nothing is lost that a client saw, and nothing made up", async () => {
  const backend = harness.backend(() => "x");
  const proxy = await harness.proxy({
    config: {
      workers: 2,
      pools: { web: { backends: [backend.url], health: false, ejection: false } },
    },
  });
  let sent = 0;
  const done = Promise.withResolvers<void>();
  const counting = load(proxy.url, 16, done.promise);
  const [victim] = await proxy.workers();
  const moreRequests = async (): Promise<void> => {
    const already = backend.requests.length;
    await waitFor("200 more requests", () => backend.requests.length >= already + 200);
  };
  const find = async () => (await proxy.workers()).find(({ id }) => id === victim?.id);
  for (const kill of [1, 2]) {
    await moreRequests();
    process.kill((await find())?.pid ?? 0, "SIGKILL");
    await waitFor("a replacement that serves", async () => {
      const worker = await find();
      return worker?.restarts === kill && worker.pendingRequests !== null;
    });
  }
  await moreRequests();
  done.resolve();
  const endings = await counting;
  for (const count of endings.values()) sent += count;
  const answered = endings.get("200") ?? 0;
  expect(answered).toBeGreaterThan(600);
  const all = await settled(proxy);
  const counted = sumOf(all, SERVER, { http_response_status_code: "200" });
  expect(counted).toBeGreaterThanOrEqual(answered);
  expect(sumOf(all, SERVER)).toBeLessThanOrEqual(sent);
  expect(sumOf(all, CLIENT, { http_response_status_code: "200" })).toBeGreaterThanOrEqual(answered);
  expect(sumOf(all, CLIENT)).toBeLessThanOrEqual(backend.requests.length);
  expect(sumOf(all, "leastwise_worker_restarts_total")).toBe(2);
});

test("a worker that hangs keeps nobody from the metrics, what it has counted included", async () => {
  const backend = harness.backend(() => "x");
  const proxy = await harness.proxy({
    config: { workers: 1, pools: { web: { backends: [backend.url], health: false } } },
  });
  await sendMany(proxy.url, 10, 2);
  await settled(proxy);
  const [worker] = await proxy.workers();
  process.kill(worker?.pid ?? 0, "SIGSTOP");
  const during = await samples(proxy);
  process.kill(worker?.pid ?? 0, "SIGCONT");
  expect(sumOf(during, SERVER)).toBe(10);
  // Only it could tell.
  expect(matching(during, "leastwise_client_connections")).toEqual([]);
  // It is given half a second each time.
  await waitFor("what it tells again", async () => {
    return matching(await samples(proxy), "leastwise_client_connections").length === 1;
  });
});

test("many different paths, hosts and methods leave the number of series unchanged", async () => {
  const backend = harness.backend(() => "x");
  const proxy = await harness.proxy({
    config: { workers: 1, pools: { web: { backends: [backend.url], health: false } } },
  });
  const send = async (i: number) => {
    const headers = { host: `h${i}.example` };
    await (await fetch(`${proxy.url}/p${i}?q=${i}`, { headers })).text();
  };
  const odd = (method: string) =>
    exchangeRaw(proxy.port, `${method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  await send(0);
  await odd("PROPFIND");
  const before = await settled(proxy);
  for (let i = 1; i < 2000; i += 10) {
    await Promise.all(Array.from({ length: 10 }, (_, each) => send(i + each)));
  }
  const seen = (of: (request: FakeRequest) => string | null) => new Set(backend.requests.map(of));
  expect(seen(({ target }) => target).size).toBeGreaterThan(2000);
  expect(seen((each) => each.header("host")).size).toBeGreaterThan(2000);
  for (const method of ["MKCOL", "LOCK", "UNLOCK", "COPY", "MOVE"]) await odd(method);
  const after = await settled(proxy);
  const names = (all: readonly Sample[]) =>
    all.map(({ name, labels }) => `${name} ${JSON.stringify(labels)}`);
  expect(names(after)).toEqual(names(before));
  expect(sumOf(after, SERVER) - sumOf(before, SERVER)).toBe(2005);
});

test("a backend that makes up statuses makes no series of them", async () => {
  let answers = 0;
  const backend = harness.backend(() => ({ status: 200 + (answers++ % 400) }));
  const config = { health: false, ejection: false, retry: false } as const;
  const proxy = await harness.proxy({
    config: { workers: 1, pools: { web: { backends: [backend.url], ...config } } },
  });
  await sendMany(proxy.url, 800, 8);
  const all = await settled(proxy);
  expect(sumOf(all, SERVER)).toBe(800);
  const statuses = (name: string) =>
    new Set(matching(all, name).map(({ labels }) => labels["http_response_status_code"]));
  for (const name of [SERVER, CLIENT]) {
    expect(statuses(name).size).toBeLessThan(70);
    expect([...statuses(name)]).toEqual(
      expect.arrayContaining(["200", "300", "400", "404", "500"]),
    );
    expect(statuses(name)).not.toContain("299");
  }
  const errors = new Set(matching(all, CLIENT).map(({ labels }) => labels["error_type"]));
  expect(errors.size).toBeLessThan(70);
});

describe("the format", () => {
  test("is text unless OpenMetrics is asked for, where traced requests are exemplars", async () => {
    const backend = harness.backend(() => "x");
    using receiver = new OtlpReceiver();
    const proxy = await harness.proxy({
      config: { workers: 1, pools: { web: { backends: [backend.url], health: false } } },
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint, OTEL_METRICS_EXPORTER: "none" },
    });
    const trace = "0af7651916cd43dd8448eb211c80319c";
    const headers = { traceparent: `00-${trace}-b7ad6b7169203331-01` };
    await (await fetch(proxy.url, { headers })).text();
    await settled(proxy);
    const text = await scrape(proxy);
    expect(text.type).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(text.text).not.toContain(" # {");
    const open = await scrape(proxy, "application/openmetrics-text;version=1.0.0");
    expect(open.type).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
    expect(open.text).toEndWith("\n# EOF\n");
    const exemplars = [
      ...open.text.matchAll(/^(\S+?)\{.* # \{trace_id="([^"]*)",span_id="([0-9a-f]{16})"\}/gm),
    ];
    expect(exemplars.map(([, name, id]) => `${name} ${id}`)).toEqual(
      expect.arrayContaining([
        `http_server_request_duration_seconds_bucket ${trace}`,
        `http_client_request_duration_seconds_bucket ${trace}`,
      ]),
    );
    const plain = (all: string) => parseSamples(all).map(({ name }) => name);
    expect(plain(open.text)).toEqual(plain(text.text));
  });
});

test("counts of a backend that one reload takes out and another brings back go on", async () => {
  // Went wrong: they began at 0 again, under the start time of the ones before.
  const [away, stays] = [harness.backend(), harness.backend()];
  const configOf = (...urls: string[]) => ({ workers: 1, pools: { web: { backends: urls } } });
  const proxy = await harness.proxy({ config: configOf(away.url) });
  const total = async () =>
    sumOf(await settled(proxy), "leastwise_backend_requests_total", {
      server_port: portOf(away.url),
    });
  for (const expected of [3, 6]) {
    for (let i = 0; i < 3; i++) await (await fetch(proxy.url)).text();
    expect(await total()).toBe(expected);
    for (const urls of [[stays.url], [away.url]]) {
      proxy.configure(configOf(...urls));
      expect(await proxy.reload()).toMatchObject({ ok: true });
    }
    expect(await total()).toBe(expected);
  }
});
