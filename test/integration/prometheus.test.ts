/** What a real leastwise (compiled binary) tells a real Prometheus, beside what was sent through it. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { UserConfig } from "../../src/index.ts";
import { BUILD_TIMEOUT_MS } from "../_support/binary.ts";
import { type FakeBackend, type FakeHandler, startFakeBackend } from "../_support/fake-backend.ts";
import { OtlpReceiver } from "../_support/otlp-receiver.ts";
import {
  hasPrometheus,
  needsPrometheus,
  type Prometheus,
  promtool,
  type Sample,
  startPrometheus,
} from "../_support/prometheus.ts";
import { type Proxy, startProxy } from "../_support/proxy.ts";

setDefaultTimeout(60_000);

const cleanups: (() => unknown)[] = [];
afterAll(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** Answers with the status that the path asks for, after the milliseconds that it may ask for. */
const asked: FakeHandler = ({ target }) => {
  const [, status = "200", delayMs] = target.split(/[/?]/).slice(1);
  return { status: Number(status), body: "x", delayMs: Number(delayMs) || 0 };
};

function backendOn(handler: FakeHandler): FakeBackend {
  const backend = startFakeBackend(handler);
  cleanups.push(() => backend.stop());
  return backend;
}

async function proxyOn(options: Parameters<typeof startProxy>[0]): Promise<Proxy> {
  const proxy = await startProxy(options);
  cleanups.push(() => proxy.stop());
  return proxy;
}

function shopOf(backends: readonly FakeBackend[]): Promise<Proxy> {
  const web: UserConfig["pools"][string] = {
    backends: backends.map(({ url }, index) => ({ url, id: `b${index}` })),
    health: false,
    ejection: false,
    retry: false,
  };
  const routes = ["/fast/*", "/slow/*"].map((path) => ({ path, pool: "web" }));
  return proxyOn({ config: { workers: 2, pools: { web }, routes } });
}

/** Takes Prometheus' Accept field away, so that it gets the text format instead of OpenMetrics. */
function textOnly(proxy: Proxy): string {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    fetch: () => fetch(`${proxy.admin}/metrics`, { headers: { accept: "text/plain" } }),
  });
  cleanups.push(() => server.stop(true));
  return server.url.host;
}

interface Job {
  readonly name: string;
  readonly target: string;
  readonly token?: string;
}

function configOf(jobs: readonly Job[]): string {
  const each = jobs.map(
    ({ name, target, token }) => `  - job_name: ${name}
    static_configs: [{ targets: ["${target}"] }]
${token === undefined ? "" : `    authorization: { credentials: "${token}" }\n`}`,
  );
  return `global:\n  scrape_interval: 200ms\nscrape_configs:\n${each.join("")}`;
}

/** One entry per series: the values of these labels, and the number. */
function table(samples: readonly Sample[], ...labels: string[]): Record<string, number> {
  return Object.fromEntries(
    samples.map((each) => [labels.map((label) => each.labels[label] ?? "").join(" "), each.value]),
  );
}

describe.skipIf(!hasPrometheus)(`a scrape${needsPrometheus}`, () => {
  test("is as promtool wants it, before the first request and after all kinds of them", async () => {
    const proxy = await shopOf([backendOn(asked)]);
    const check = async () => {
      const response = await fetch(`${proxy.admin}/metrics`);
      expect(response.headers.get("content-type")).toStartWith("text/plain; version=0.0.4");
      const body = await response.text();
      expect(await promtool(["check", "metrics"], body)).toEqual({ exitCode: 0, said: "" });
      return body;
    };
    expect(await check()).not.toContain("\nhttp_server_request_duration_seconds_count{");
    for (const path of ["fast/200", "fast/404", "fast/503", "slow/200/60", "nowhere"]) {
      for (const method of ["GET", "POST", "PROPFIND"]) {
        await (await fetch(`${proxy.url}/${path}`, { method })).bytes();
      }
    }
    expect(await check()).toContain("\nhttp_server_request_duration_seconds_count{");
  });

  test("is fine whatever the resource attributes are called", async () => {
    const attributes = "team.name=a,team_name=b,1st=c,__name__=d,job=e,sp%20ace=g,%C3%A9t%C3%A9=h";
    const proxy = await proxyOn({
      config: { workers: 1, pools: { web: { backends: [backendOn(asked).url], health: false } } },
      env: { OTEL_RESOURCE_ATTRIBUTES: attributes },
    });
    const body = await (await fetch(`${proxy.admin}/metrics`)).text();
    expect(await promtool(["check", "metrics"], body)).toEqual({ exitCode: 0, said: "" });
    const prometheus = await startPrometheus(
      configOf([{ name: "odd", target: new URL(proxy.admin).host }]),
    );
    cleanups.push(() => prometheus.stop());
    await prometheus.scraped("odd");
    expect((await prometheus.query('up{job="odd"}')).map(({ value }) => value)).toEqual([1]);
    const [info] = await prometheus.query("target_info");
    expect(info?.labels).toMatchObject({
      team_name: "a;b",
      _1st: "c",
      _name_: "d",
      sp_ace: "g",
      service_name: "leastwise",
    });
  });

  test("would be refused by promtool without its types and texts: its silence says something", async () => {
    const { exitCode, said } = await promtool(["check", "metrics"], "no_total 1\n");
    expect(exitCode, said).not.toBe(0);
  });
});

describe.skipIf(!hasPrometheus)(`a real Prometheus${needsPrometheus}`, () => {
  const SENT = [
    { count: 40, method: "GET", path: "/fast/200", ends: "GET 200 /fast/*" },
    { count: 25, method: "POST", path: "/fast/200", ends: "POST 200 /fast/*" },
    { count: 15, method: "GET", path: "/fast/404", ends: "GET 404 /fast/*" },
    { count: 10, method: "PUT", path: "/fast/503", ends: "PUT 503 /fast/*" },
    { count: 12, method: "GET", path: "/slow/200/60", ends: "GET 200 /slow/*" },
    { count: 7, method: "GET", path: "/nowhere", ends: "GET 404 " },
  ];
  const receiver = new OtlpReceiver();
  cleanups.push(() => receiver[Symbol.dispose]());
  let backends: readonly FakeBackend[];
  let prometheus: Prometheus;

  // One for all tests: it begins to scrape five seconds after it has started.
  beforeAll(async () => {
    backends = [backendOn(asked), backendOn(asked)];
    const shop = await shopOf(backends);
    const traced = await proxyOn({
      config: { workers: 1, pools: { web: { backends: [backendOn(() => "ok").url] } } },
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
        OTEL_METRICS_EXPORTER: "none",
        OTEL_BSP_SCHEDULE_DELAY: "20",
      },
    });
    const guarded = await proxyOn({
      config: { admin: { token: "sesame" }, pools: { web: { backends: ["http://127.0.0.1:9"] } } },
    });
    const requests = SENT.flatMap(({ count, ...one }) =>
      Array.from({ length: count }, (_, i) => ({
        ...one,
        path: `${one.path}?${i}`,
        host: `${i}.test`,
      })),
    );
    await Promise.all(
      requests.map(async ({ method, path, host, ends }) => {
        // A connection each: the kernel spreads connections over the workers, not requests.
        const headers = { connection: "close", host };
        const response = await fetch(shop.url + path, { method, headers });
        await response.bytes();
        expect(ends).toStartWith(`${method} ${response.status} `);
      }),
    );
    for (let i = 0; i < 3; i++) await (await fetch(traced.url)).bytes();
    const guardedHost = new URL(guarded.admin).host;
    prometheus = await startPrometheus(
      configOf([
        { name: "openmetrics", target: new URL(shop.admin).host },
        { name: "text", target: textOnly(shop) },
        { name: "traced", target: new URL(traced.admin).host },
        { name: "right-token", target: guardedHost, token: "sesame" },
        { name: "wrong-token", target: guardedHost, token: "wheat" },
        { name: "no-token", target: guardedHost },
      ]),
    );
    cleanups.push(() => prometheus.stop());
  }, BUILD_TIMEOUT_MS);

  describe.each(["openmetrics", "text"])("that gets %s", (job) => {
    const ask = (expression: string) =>
      prometheus.query(expression.replaceAll("JOB", `job="${job}"`));

    // The client may have the end of an answer before the worker has counted it.
    beforeAll(async () => {
      await prometheus.until(
        `sum(http_server_active_requests{job="${job}"})`,
        ([active]) => active?.value === 0,
      );
      await prometheus.scraped(job);
    });

    test("knows as many requests as were sent, by method, status and route", async () => {
      const labels = ["http_request_method", "http_response_status_code", "http_route"];
      const served = await ask(
        `sum by (${labels.join()}) (http_server_request_duration_seconds_count{JOB})`,
      );
      expect(table(served, ...labels)).toEqual(
        Object.fromEntries(SENT.map(({ count, ends }) => [ends, count])),
      );
    });

    test("knows as many attempts as each backend saw, and how they ended", async () => {
      const metrics = [
        "http_client_request_duration_seconds_count",
        "leastwise_backend_requests_total",
      ];
      for (const metric of metrics) {
        const samples = await ask(`sum by (leastwise_backend_id) (${metric}{JOB})`);
        expect(table(samples, "leastwise_backend_id")).toEqual({
          b0: backends[0]!.requests.length,
          b1: backends[1]!.requests.length,
        });
      }
      const status = "http_response_status_code";
      const ended = await ask(`sum by (${status}) (${metrics[0]}{JOB})`);
      expect(table(ended, status)).toEqual({ 200: 77, 404: 15, 503: 10 });
      const [picks] = await ask("sum(leastwise_pick_duration_seconds_count{JOB})");
      expect(picks?.value).toBe(102);
    });

    test("finds each request in a bucket, and the slow ones in none of the first", async () => {
      const buckets = "http_server_request_duration_seconds_bucket";
      const all = await ask(`sum by (http_route) (${buckets}{JOB, le="+Inf"})`);
      expect(table(all, "http_route")).toEqual({ "/fast/*": 90, "/slow/*": 12, "": 7 });
      // The backend takes 60 ms for each of them.
      const early = await ask(`sum(${buckets}{JOB, le="0.05", http_route="/slow/*"})`);
      expect(early.map(({ value }) => value)).toEqual([0]);
      const [seconds] = await ask(
        'sum(http_server_request_duration_seconds_sum{JOB, http_route="/slow/*"})',
      );
      expect(seconds?.value).toBeGreaterThanOrEqual(12 * 0.06);
    });

    test("knows backends by the address that is configured, not by a Host that clients send", async () => {
      const labels = ["server_address", "server_port"];
      const seen = await ask(`group by (${labels.join()}) ({JOB, server_address!=""})`);
      expect(Object.keys(table(seen, ...labels)).toSorted()).toEqual(
        backends.map(({ port }) => `127.0.0.1 ${port}`).toSorted(),
      );
    });
  });

  test.each(["http_server_request_duration_seconds", "http_client_request_duration_seconds"])(
    "keeps a trace id beside what %s counted, of a trace that was sent",
    async (histogram) => {
      const traces = new Set((await receiver.spans(6)).map(({ traceId }) => traceId));
      expect(traces.size).toBe(3);
      await prometheus.scraped("traced");
      const now = Date.now() / 1000;
      const found = (await prometheus.api(
        `query_exemplars?query=${histogram}_bucket&start=${now - 3600}&end=${now + 60}`,
      )) as {
        seriesLabels: { job: string };
        exemplars: { labels: { trace_id: string; span_id: string } }[];
      }[];
      const ids = found.flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels.trace_id));
      expect(ids).not.toBeEmpty();
      for (const id of ids) expect(traces).toContain(id);
    },
  );

  test("is let in with the admin API's token alone", async () => {
    const jobs = await prometheus.until('up{job=~".*-token"}', ({ length }) => length === 3);
    expect(table(jobs, "job")).toEqual({ "right-token": 1, "wrong-token": 0, "no-token": 0 });
  });
});
