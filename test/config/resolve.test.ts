import { describe, expect, test } from "bun:test";
import { resolveConfig } from "../../src/config/resolve.ts";
import { ConfigError } from "../../src/errors.ts";

const context = {
  baseDir: import.meta.dir,
  cpus: 4,
  platform: "linux",
  strategies: ["least-connections", "round-robin", "random"],
};

function resolve(raw: unknown, platform = "linux") {
  return resolveConfig(raw, { ...context, platform });
}

/** The problems as `path: message`. */
function problemsOf(raw: unknown, platform?: string): string[] {
  try {
    resolve(raw, platform);
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    return thrown.problems.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
}

/** A configuration that is right but for what is laid over its only pool. */
function withPool(pool: Readonly<Record<string, unknown>>) {
  return { pools: { web: { backends: ["http://a:1"], ...pool } } };
}

function withBackend(backend: unknown) {
  return withPool({ backends: [backend] });
}

describe("defaults", () => {
  test("a list of backends is a whole configuration", () => {
    expect(resolve({ pools: { web: { backends: ["http://10.0.0.1"] } } })).toEqual({
      listen: [{ address: { hostname: "0.0.0.0", port: 8080 } }],
      pools: [
        {
          name: "web",
          backends: [
            {
              id: "10.0.0.1:80",
              url: "http://10.0.0.1:80",
              address: { hostname: "10.0.0.1", port: 80 },
              weight: 1,
              labels: {},
              maxInFlight: null,
              backup: false,
            },
          ],
          strategy: { kind: "built-in", name: "least-connections" },
          shadow: [],
          health: {
            path: null,
            port: null,
            host: null,
            headers: {},
            method: "GET",
            intervalMs: 5000,
            timeoutMs: 2000,
            rise: 2,
            fall: 3,
            jitter: 0.1,
            status: [[200, 299]],
            body: null,
          },
          ejection: { failures: 5, baseMs: 10_000, maxMs: 300_000, maxPercent: 50 },
          retry: { attempts: 2, budget: 0.2, on: ["connect", "reset"] },
          timeouts: { connectMs: 2000, firstByteMs: 60_000, idleMs: 60_000, requestMs: null },
          connections: { maxIdle: 256, idleMs: 60_000, maxAgeMs: null },
          body: { maxBytes: 1_073_741_824 },
          hostHeader: "preserve",
          headers: {
            request: { set: [], add: [], remove: [] },
            response: { set: [], add: [], remove: [] },
          },
          affinity: null,
          slowStart: null,
        },
      ],
      routes: [],
      trustedProxies: [],
      clientConnections: { max: null, maxPerAddress: null },
      accessLog: {
        log: "errors",
        file: null,
        format: "auto",
        redactQuery: [],
        requestHeaders: [],
      },
      requestId: true,
      admin: { address: { hostname: "127.0.0.1", port: 9900 }, token: null, hosts: [] },
      workers: 4,
      workerMemoryBytes: 1024 ** 3,
      watchdogMs: 1000,
      shutdown: { delayMs: 0, graceMs: 30_000 },
      telemetry: {
        trust: "private",
        propagate: true,
        knownMethods: null,
        serviceName: "leastwise",
        resourceAttributes: {},
        logLevel: "warn",
        traces: null,
        metrics: null,
      },
    });
  });

  test("false switches health, ejection and retry off", () => {
    const [pool] = resolve(withPool({ health: false, ejection: false, retry: false })).pools;
    expect(pool).toMatchObject({ health: null, ejection: null, retry: null });
  });

  test("what is undefined counts as not given", () => {
    const raw = { listen: undefined, ...withPool({ health: { path: undefined, interval: "1s" } }) };
    expect(resolve(raw).pools[0]?.health).toMatchObject({ path: null, intervalMs: 1000 });
  });
});

describe("what may be written in several ways", () => {
  test("a listener by address or as a unix socket", () => {
    const listen = [{ address: "[::1]:80" }, { unix: "/run/a.sock" }, { address: "unix:/b" }];
    expect(resolve({ listen, ...withPool({}) }).listen).toEqual([
      { address: { hostname: "::1", port: 80 } },
      { address: { unix: "/run/a.sock" } },
      { address: { unix: "/b" } },
    ]);
  });

  test("the access log as one word or with its file, which lies beside the config", () => {
    const accessLogOf = (accessLog: unknown, more: object = {}) =>
      resolveConfig({ ...withPool({}), accessLog }, { ...context, ...more }).accessLog;
    expect(accessLogOf("off")).toBeNull();
    const plain = { file: null, format: "auto", redactQuery: [], requestHeaders: [] };
    expect(accessLogOf("all")).toEqual({ log: "all", ...plain } as never);
    expect(accessLogOf({})).toEqual({ log: "errors", ...plain } as never);
    const written = { file: "logs/a.log", redactQuery: ["Token"], requestHeaders: ["User-Agent"] };
    expect(accessLogOf(written, { baseDir: "/typed/here", configDir: "/etc/leastwise" })).toEqual({
      log: "errors",
      file: "/etc/leastwise/logs/a.log",
      format: "auto",
      redactQuery: ["token"],
      requestHeaders: ["user-agent"],
    });
  });

  test("status codes as a number or as ranges", () => {
    const statusOf = (status: unknown) =>
      resolve(withPool({ health: { path: "/", status } })).pools[0]?.health?.status;
    expect(statusOf(204)).toEqual([[204, 204]]);
    expect(statusOf("200,300-399")).toEqual([
      [200, 200],
      [300, 399],
    ]);
  });

  test("a strategy by name, as a file, with options", () => {
    const strategyOf = (strategy: unknown) => resolve(withPool({ strategy })).pools[0]?.strategy;
    expect(strategyOf("random")).toEqual({ kind: "built-in", name: "random" });
    expect(strategyOf({ use: "random", options: { a: 1 } })).toEqual({
      kind: "built-in",
      name: "random",
      options: { a: 1 },
    });
    for (const use of ["./resolve.test.ts", "resolve.test.ts"]) {
      expect(strategyOf({ use })).toEqual({ kind: "file", file: import.meta.path });
    }
  });

  test("pools keep the order of the file, and host names lose their case", () => {
    const backends = ["http://a:1"];
    const config = resolve({
      pools: { web: { backends }, api: { backends } },
      routes: [
        { host: "API.example.com", pool: "api" },
        { path: "/*", pool: "web" },
      ],
    });
    expect(config.pools.map(({ name }) => name)).toEqual(["web", "api"]);
    expect(config.routes).toEqual([
      { host: "api.example.com", path: null, pool: "api", stripPrefix: false },
      { host: null, path: "/*", pool: "web", stripPrefix: false },
    ]);
  });
});

/* One mistake each: where it is, and what the message has to say. */
const mistakes: readonly (readonly [situation: string, raw: unknown, problem: string])[] = [
  [
    "a shadow that is no list",
    withPool({ shadow: "p2c" }),
    'pools.web.shadow: found "p2c", allowed a list of strategies',
  ],
  [
    "a shadow of an unknown name",
    withPool({ shadow: ["random", "p3c"] }),
    'pools.web.shadow[1]: found "p3c", allowed least-connections, round-robin, random, or a file such as ./mine.ts',
  ],
  [
    "a shadow whose file is missing",
    withPool({ shadow: [{ use: "./nowhere.ts" }] }),
    'pools.web.shadow[0].use: found "./nowhere.ts", but there is no such file in ',
  ],
  [
    "more shadows than there may be processes for",
    withPool({ shadow: Array.from({ length: 17 }, () => "random") }),
    "pools.web.shadow: found 17 over all pools, allowed at most 16: each is a process of its own",
  ],
  ["no configuration", null, "config: found null, allowed an object with "],
  ["a list for a configuration", [], "config: found an empty list, allowed an object with "],
  [
    "a trusted proxy that is no address",
    { ...withPool({}), trustedProxies: ["10.0.0.0/8", "proxy.internal"] },
    'trustedProxies[1]: found "proxy.internal", allowed an IP address, a network such as 10.0.0.0/8',
  ],
  [
    "a network of too many bits",
    { ...withPool({}), trustedProxies: ["10.0.0.0/33"] },
    'trustedProxies[0]: found "10.0.0.0/33" (a network of more than 32 bits), allowed ',
  ],
  [
    "a network without its length",
    { ...withPool({}), trustedProxies: ["10.0.0.0/"] },
    'trustedProxies[0]: found "10.0.0.0/", allowed ',
  ],
  [
    "a trusted proxy that would never match",
    { ...withPool({}), trustedProxies: ["::ffff:10.0.0.1"] },
    'trustedProxies[0]: found "::ffff:10.0.0.1" (IPv4 inside IPv6), allowed ',
  ],
  [
    "no connections at all",
    { ...withPool({}), clientConnections: { max: 0 } },
    'clientConnections.max: found 0, allowed "auto" or a whole number of at least 1',
  ],
  [
    "connections per address that are no number",
    { ...withPool({}), clientConnections: { maxPerAddress: "ten" } },
    'clientConnections.maxPerAddress: found "ten", allowed a whole number of at least 1',
  ],
  [
    "an access log of something else",
    { ...withPool({}), accessLog: "some" },
    'accessLog: found "some", allowed "off", "errors", "all" or an object with log, file, format, redactQuery, requestHeaders',
  ],
  [
    "an access log of nothing in a file",
    { ...withPool({}), accessLog: { log: "off", file: "a.log" } },
    'accessLog.log: found "off", allowed "errors" or "all"',
  ],
  [
    "an access log in a folder",
    { ...withPool({}), accessLog: { file: "logs/" } },
    'accessLog.file: found "logs/", allowed the path of a file',
  ],
  [
    "credentials in the access log",
    { ...withPool({}), accessLog: { requestHeaders: ["user-agent", "Cookie"] } },
    'accessLog.requestHeaders[1]: found "Cookie", allowed a header name other than authorization, cookie, proxy-authorization, set-cookie',
  ],
  [
    "an empty key of the query",
    { ...withPool({}), accessLog: { redactQuery: [""] } },
    'accessLog.redactQuery[0]: found "", allowed a key of the query',
  ],
  [
    "a request id that is not switched",
    { ...withPool({}), requestId: "yes" },
    'requestId: found "yes", allowed true or false',
  ],
  [
    "a prefix to strip without a path",
    { ...withPool({}), routes: [{ pool: "web", stripPrefix: true }] },
    "routes[0].stripPrefix: found true with no path, allowed together with a path that ends in /*",
  ],
  [
    "a prefix to strip of an exact path",
    { ...withPool({}), routes: [{ pool: "web", path: "/v1", stripPrefix: true }] },
    'routes[0].stripPrefix: found true with the path "/v1", allowed together with ',
  ],
  ...["Host", "Content-Length", "transfer-encoding", "Connection", "TE"].map(
    (name) =>
      [
        `a rule for ${name}`,
        withPool({ headers: { request: { set: { [name]: "x" } } } }),
        `found ${JSON.stringify(name)}, allowed a header name other than connection, content-length, `,
      ] as const,
  ),
  [
    "a framing field to remove",
    withPool({ headers: { response: { remove: ["Server", "Content-Length"] } } }),
    'pools.web.headers.response.remove[1]: found "Content-Length", allowed a header name other than ',
  ],
  [
    "a header name that is none",
    withPool({ headers: { response: { add: { "x y": "1" } } } }),
    'found "x y", allowed a header name',
  ],
  [
    "a line break in a header value",
    withPool({ headers: { request: { add: { "x-a": "1\r\nx-b: 2" } } } }),
    'pools.web.headers.request.add.x-a: found "1\\r\\nx-b: 2", allowed a header value without line breaks',
  ],
  [
    "a header name twice",
    withPool({ headers: { request: { set: { "x-a": "1", "X-A": "2" } } } }),
    "pools.web.headers.request.set: found an object, allowed each header name once, whatever its case",
  ],
  ["no pools", {}, "pools: found nothing, allowed an object with at least one pool"],
  [
    "an unknown key with a slip",
    { lisen: [], ...withPool({}) },
    'lisen: unknown key, allowed listen, pools, routes, trustedProxies, clientConnections, requestId, admin, workers, workerMemory, watchdog, shutdown, telemetry, accessLog, $schema; did you mean "listen"?',
  ],
  [
    "a key of a later version",
    { http3: {}, ...withPool({}) },
    "http3: unknown key, allowed listen, pools, ",
  ],
  ["a key of a later version in a pool", withPool({ queue: {} }), "pools.web.queue: unknown key, "],
  [
    "an unknown key deep inside",
    withPool({ health: { intervall: "1s" } }),
    'pools.web.health.intervall: unknown key, allowed path, port, host, headers, method, interval, timeout, rise, fall, jitter, status, body; did you mean "interval"?',
  ],
  [
    "tls on a listener",
    { listen: [{ address: "0.0.0.0:1", tls: {} }], ...withPool({}) },
    "listen[0].tls: unknown key, allowed address",
  ],
  [
    "no listener",
    { listen: [], ...withPool({}) },
    "listen: found an empty list, allowed at least one address",
  ],
  [
    "address and unix at once",
    { listen: [{ address: "0.0.0.0:1", unix: "/x" }], ...withPool({}) },
    "listen[0]: found an object, allowed an object with either address or unix",
  ],
  [
    "the same address twice",
    { listen: [{ address: "0.0.0.0:1" }, { address: "0.0.0.0:1" }], ...withPool({}) },
    'listen[1].address: found "0.0.0.0:1", which listen[0].address has already; allowed another port',
  ],
  [
    "the admin API on a listener's address",
    { listen: [{ address: "127.0.0.1:1" }], admin: { address: "127.0.0.1:1" }, ...withPool({}) },
    'admin.address: found "127.0.0.1:1", which listen[0].address has already; allowed another port',
  ],
  [
    "a listener on the default address of the admin API",
    { listen: [{ address: "127.0.0.1:9900" }], ...withPool({}) },
    'listen[0].address: found "127.0.0.1:9900", which admin.address has by default; allowed another port',
  ],
  [
    "the admin API on the default address of the clients",
    { admin: { address: "127.0.0.1:8080" }, ...withPool({}) },
    'admin.address: found "127.0.0.1:8080", which listen[0].address has by default, as "0.0.0.0:8080"; allowed another port',
  ],
  [
    "the admin API inside a listener on every address",
    { listen: [{ address: "0.0.0.0:1" }], admin: { address: "127.0.0.1:1" }, ...withPool({}) },
    'admin.address: found "127.0.0.1:1", which listen[0].address has already, as "0.0.0.0:1"; allowed another port',
  ],
  [
    "a listener on every address of both families",
    { listen: [{ address: "127.0.0.1:1" }, { address: "[::]:1" }], ...withPool({}) },
    'listen[1].address: found "[::]:1", which listen[0].address has already, as "127.0.0.1:1"; allowed another port',
  ],
  [
    "one address in two spellings",
    { listen: [{ address: "[::1]:1" }, { address: "[0:0:0:0:0:0:0:1]:1" }], ...withPool({}) },
    'listen[1].address: found "[0:0:0:0:0:0:0:1]:1", which listen[0].address has already, as "[::1]:1"; allowed another port',
  ],
  [
    "localhost beside the address that it means",
    { listen: [{ address: "127.0.0.1:1" }, { address: "LocalHost:1" }], ...withPool({}) },
    'listen[1].address: found "LocalHost:1", which listen[0].address has already, as "127.0.0.1:1"; allowed another port',
  ],
  [
    "one unix socket twice",
    { listen: [{ unix: "/a.sock" }], admin: { address: "unix:///a.sock" }, ...withPool({}) },
    'admin.address: found "unix:///a.sock", which listen[0].unix has already, as "unix:/a.sock"; allowed another path',
  ],
  [
    "a text to look for in an answer that has no body",
    withPool({ health: { path: "/health", method: "HEAD", body: "ok" } }),
    'pools.web.health.body: found "ok", but an answer to HEAD has no body; allowed with the method GET or OPTIONS',
  ],
  [
    "a status without a path to ask for",
    withPool({ health: { status: "200" } }),
    'pools.web.health.status: found "200", but a probe without path is a TCP connect; allowed together with path',
  ],
  [
    "a port for an address",
    { listen: [{ address: "8080" }], ...withPool({}) },
    'listen[0].address: found "8080" (no host; perhaps 0.0.0.0:8080), allowed host:port',
  ],
  [
    "a port after nothing",
    { listen: [{ address: ":8080" }], ...withPool({}) },
    'listen[0].address: found ":8080" (no host; perhaps 0.0.0.0:8080), allowed host:port',
  ],
  [
    "a port for the admin API's address, which is not for everybody",
    { admin: { address: ":9901" }, ...withPool({}) },
    'admin.address: found ":9901" (no host; perhaps 127.0.0.1:9901), allowed host:port',
  ],
  [
    "a URL for an address",
    { admin: { address: "http://127.0.0.1:9900" }, ...withPool({}) },
    'admin.address: found "http://127.0.0.1:9900" (leave out http://), allowed host:port',
  ],
  [
    "an empty pool",
    withPool({ backends: [] }),
    "pools.web.backends: found an empty list, allowed at least one backend",
  ],
  [
    "a pool without backends",
    { pools: { web: {} } },
    "pools.web.backends: found nothing, allowed a list of backends",
  ],
  [
    "a pool's name that does not fit into a URL",
    { pools: { "my pool": { backends: ["http://a:1"] } } },
    'pools["my pool"]: found "my pool", allowed a pool name of letters, digits and . _ -',
  ],
  [
    "a backend without scheme",
    withBackend("localhost:3000"),
    'pools.web.backends[0]: found "localhost:3000" (no scheme; perhaps http://localhost:3000), allowed http://host:port or unix:/path',
  ],
  [
    "a backend with a path",
    withBackend({ url: "http://a:1/api" }),
    'pools.web.backends[0].url: found "http://a:1/api" (a backend URL has no path), allowed http://host:port or unix:/path',
  ],
  [
    "a backend that is no URL",
    withBackend(3000),
    "pools.web.backends[0]: found 3000, allowed a URL or an object with url, ",
  ],
  [
    "a weight of 0",
    withBackend({ url: "http://a", weight: 0 }),
    "pools.web.backends[0].weight: found 0, allowed a number above 0 (to take a backend out, remove it)",
  ],
  [
    "a negative weight",
    withBackend({ url: "http://a", weight: -1 }),
    "pools.web.backends[0].weight: found -1, allowed a number above 0",
  ],
  [
    "an endless weight",
    withBackend({ url: "http://a", weight: Infinity }),
    "pools.web.backends[0].weight: found Infinity, allowed a number above 0",
  ],
  [
    "a weight as text",
    withBackend({ url: "http://a", weight: "1" }),
    'pools.web.backends[0].weight: found "1", allowed a number above 0',
  ],
  [
    "an id with a slash",
    withBackend({ url: "http://a", id: "a/b" }),
    'pools.web.backends[0].id: found "a/b", allowed 1 to 128 letters, digits and . _ ~ : -',
  ],
  [
    "the same backend twice",
    withPool({ backends: ["http://a", "http://b", { url: "http://a:80" }] }),
    'pools.web.backends[2]: found the id "a:80" (from its URL) a second time, after pools.web.backends[0]; allowed an id that is unique in its pool',
  ],
  [
    "the same id twice",
    withPool({
      backends: [
        { url: "http://a", id: "x" },
        { url: "http://b", id: "x" },
      ],
    }),
    'pools.web.backends[1].id: found the id "x" a second time, after pools.web.backends[0]; allowed an id that is unique in its pool',
  ],
  [
    "an unknown strategy",
    withPool({ strategy: "least-conections" }),
    'pools.web.strategy: found "least-conections", allowed least-connections, round-robin, random, or a file such as ./mine.ts; did you mean "least-connections"?',
  ],
  [
    "a strategy file that is not there",
    withPool({ strategy: { use: "./gone.ts" } }),
    `pools.web.strategy.use: found "./gone.ts", but there is no such file in ${import.meta.dir}`,
  ],
  [
    "a strategy that is a folder",
    withPool({ strategy: "./" }),
    `pools.web.strategy: found "./", which is not a file`,
  ],
  [
    "true for a section",
    withPool({ retry: true }),
    "pools.web.retry: found true, allowed false or an object with attempts, budget, on",
  ],
  [
    "a number for a duration",
    withPool({ timeouts: { connect: 5 } }),
    "pools.web.timeouts.connect: found 5, allowed a duration such as ",
  ],
  [
    "a duration without unit",
    withPool({ timeouts: { connect: "5" } }),
    'pools.web.timeouts.connect: found "5", allowed a duration such as ',
  ],
  [
    "a duration longer than a timer",
    withPool({ timeouts: { idle: "600h" } }),
    'pools.web.timeouts.idle: found "600h" (too long), allowed a duration such as ',
  ],
  [
    "a timeout of nothing",
    withPool({ timeouts: { idle: "0s" } }),
    'pools.web.timeouts.idle: found "0s" (too short), allowed a duration such as ',
  ],
  [
    "a size without unit",
    withPool({ body: { max: "100" } }),
    'pools.web.body.max: found "100", allowed a size such as ',
  ],
  [
    "less memory than a worker takes",
    { ...withPool({}), workerMemory: "127MiB" },
    'workerMemory: found "127MiB" (too small), allowed a size such as "512B", "64KiB", "10MB" or "1GiB" of at least 128MiB',
  ],
  [
    "a watchdog that does not wait",
    { ...withPool({}), watchdog: "100ms" },
    'watchdog: found "100ms" (too short), allowed a duration such as "250ms", "5s", "1m" or "1h" of at least 500ms',
  ],
  [
    "a watchdog that is switched on",
    { ...withPool({}), watchdog: true },
    'watchdog: found true, allowed false or a duration such as "250ms", "5s", "1m" or "1h" of at least 500ms',
  ],
  [
    "status codes that are none",
    withPool({ health: { path: "/", status: "2xx" } }),
    'pools.web.health.status: found "2xx", allowed status codes such as ',
  ],
  [
    "a reason to retry that is none",
    withPool({ retry: { on: ["500"] } }),
    'pools.web.retry.on[0]: found "500", allowed "connect" or "reset" or "timeout" or "502" or "503" or "504"',
  ],
  [
    "an ejection that begins longer than its longest",
    withPool({ ejection: { base: "10m" } }),
    'pools.web.ejection.max: found "300s", allowed at least base, which is 10m',
  ],
  [
    "a route to an unknown pool",
    { routes: [{ pool: "wep" }], ...withPool({}) },
    'routes[0].pool: found "wep", allowed web; did you mean "web"?',
  ],
  [
    "several pools and no route",
    { pools: { a: { backends: ["http://a"] }, b: { backends: ["http://a"] } } },
    'routes: found none, but 2 pools (a, b): routes say which request goes to which, such as routes: [{ path: "/a/*", pool: "a" }, { pool: "b" }]',
  ],
  [
    "a route's path without slash",
    { routes: [{ path: "v1", pool: "web" }], ...withPool({}) },
    'routes[0].path: found "v1", allowed a path that starts with /',
  ],
  [
    "a wildcard inside a path",
    { routes: [{ path: "/a/*/b", pool: "web" }], ...withPool({}) },
    'routes[0].path: found "/a/*/b", allowed a path that starts with /',
  ],
  [
    "a wildcard after letters",
    { routes: [{ path: "/a*", pool: "web" }], ...withPool({}) },
    'routes[0].path: found "/a*", allowed a path that starts with /',
  ],
  [
    "a route's host with a port",
    { routes: [{ host: "a.com:80", pool: "web" }], ...withPool({}) },
    'routes[0].host: found "a.com:80", allowed a host name without port',
  ],
  [
    "a wildcard inside a host",
    { routes: [{ host: "a.*.com", pool: "web" }], ...withPool({}) },
    'routes[0].host: found "a.*.com", allowed a host name without port',
  ],
  [
    "an open admin API without a token",
    { admin: { address: "0.0.0.0:9900" }, ...withPool({}) },
    'admin.token: found nothing, but "0.0.0.0:9900" can be reached from other machines: a token is required',
  ],
  [
    "no worker",
    { workers: 0, ...withPool({}) },
    'workers: found 0, allowed "auto" or a whole number from 1 to 1024',
  ],
  [
    "half a worker",
    { workers: 1.5, ...withPool({}) },
    'workers: found 1.5, allowed "auto" or a whole number from 1 to 1024',
  ],
  [
    "workers in words",
    { workers: "two", ...withPool({}) },
    'workers: found "two", allowed "auto" or a whole number from 1 to 1024',
  ],
];

describe("each mistake has its own message", () => {
  test.each(mistakes)("%s", (_situation, raw, problem) => {
    expect(problemsOf(raw)).toEqual([expect.stringContaining(problem)]);
  });

  test("no two of these messages are the same", () => {
    expect(new Set(mistakes.map(([, , problem]) => problem)).size).toBe(mistakes.length);
  });
});

describe("addresses that are apart", () => {
  test.each([
    ["another port", [{ address: "0.0.0.0:1" }, { address: "0.0.0.0:2" }], "127.0.0.1:3"],
    ["another address", [{ address: "127.0.0.1:1" }, { address: "127.0.0.2:1" }], "[::1]:1"],
    ["any free port", [{ address: "0.0.0.0:0" }, { address: "0.0.0.0:0" }], "127.0.0.1:0"],
    ["another path", [{ unix: "/a.sock" }, { unix: "/b.sock" }], "unix:/c.sock"],
  ])("%s", (_situation, listen, address) => {
    expect(problemsOf({ listen, admin: { address }, ...withPool({}) })).toEqual([]);
  });
});

test("the watchdog can be switched off", () => {
  expect(resolve({ ...withPool({}), watchdog: false }).watchdogMs).toBeNull();
});

describe("how many workers", () => {
  const raw = (workers: unknown) => ({ workers, ...withPool({}) });

  test("on Linux auto is the number of processors", () => {
    expect(resolve(raw("auto"), "linux").workers).toBe(4);
    expect(resolve(raw(3), "linux").workers).toBe(3);
  });

  test.each(["darwin", "win32"])("on %s one, whatever the number of processors", (platform) => {
    expect(resolve(raw("auto"), platform).workers).toBe(1);
    expect(resolve(withPool({}), platform).workers).toBe(1);
    expect(resolve(raw(1), platform).workers).toBe(1);
    expect(problemsOf(raw(2), platform)).toEqual([
      `workers: found 2, allowed "auto" or 1 on ${platform}: only Linux spreads connections over processes that share a port`,
    ]);
  });
});

test("all mistakes are told at once, those between values too", () => {
  const problems = problemsOf({
    lisen: [],
    workers: 0,
    pools: { web: { backends: ["localhost:1", "http://a", "http://a"], strategy: "rundom" } },
    routes: [{ pool: "wep", path: "v1" }],
  });
  expect(problems.map((problem) => problem.split(": ", 1)[0])).toEqual([
    "pools.web.backends[0]",
    "routes[0].path",
    "workers",
    "lisen",
    "pools.web.backends[2]",
    "pools.web.strategy",
    "routes[0].pool",
  ]);
});

test("an id is found a second time although the first backend has another mistake", () => {
  const twice = (one: object) => problemsOf(withPool({ backends: [one, "http://a"] }));
  const repeated =
    'pools.web.backends[1]: found the id "a:80" (from its URL) a second time, after pools.web.backends[0]; allowed an id that is unique in its pool';
  expect(twice({ url: "http://a", weight: 0 })).toContain(repeated);
  expect(twice({ url: "http://b", id: "a:80", wieght: 1 })).toContain(repeated);
  expect(twice({ url: "no URL" })).toHaveLength(1);
});

test("neither credentials nor a token reach a message", () => {
  const problems = problemsOf({
    admin: { token: "my secret" },
    ...withBackend("http://user:secret@a"),
  });
  expect(problems).toHaveLength(2);
  expect(problems.join("\n")).not.toContain("secret");
});
