/** The rules and the dashboard of examples/prometheus, on a real Prometheus that scrapes a real leastwise. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { BUILD_TIMEOUT_MS } from "../_support/binary.ts";
import { startDeadBackend } from "../_support/dead-backend.ts";
import { type FakeBackend, startFakeBackend } from "../_support/fake-backend.ts";
import { sendMany } from "../_support/load.ts";
import {
  hasPrometheus,
  needsPrometheus,
  type Prometheus,
  promtool,
  startPrometheus,
} from "../_support/prometheus.ts";
import { type Proxy, startProxy } from "../_support/proxy.ts";

setDefaultTimeout(60_000);

const folder = join(import.meta.dir, "../../examples/prometheus");
const read = (name: string): Promise<string> => Bun.file(join(folder, name)).text();

interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
}

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly gridPos: {
    readonly h: number;
    readonly w: number;
    readonly x: number;
    readonly y: number;
  };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

const rules = (
  Bun.YAML.parse(await read("leastwise.rules.yml")) as { groups: { rules: Rule[] }[] }
).groups.flatMap(({ rules }) => rules);
const dashboard = (await Bun.file(join(folder, "dashboard.json")).json()) as {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { name: string; query: { query: string } }[] };
};
const panels = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr, legendFormat }) => ({ title, expr, legendFormat })),
);

describe.skipIf(!hasPrometheus)(`promtool${needsPrometheus}`, () => {
  test.each([
    ["check", "config", "prometheus.yml"],
    ["check", "rules", "leastwise.rules.yml"],
    ["test", "rules", "leastwise.rules.test.yml"],
  ])("%s %s %s finds nothing wrong", async (verb, what, file) => {
    const { exitCode, said } = await promtool([verb, what, join(folder, file)]);
    expect(exitCode, said).toBe(0);
    // It exits 0 after a config whose rules it could not read.
    expect(said).not.toContain("FAILED");
  });
});

test("every alert is tested to fire", async () => {
  const tests = Bun.YAML.parse(await read("leastwise.rules.test.yml")) as {
    tests: { alert_rule_test?: { alertname: string; exp_alerts: unknown[] }[] }[];
  };
  const fired = tests.tests.flatMap(({ alert_rule_test: alerts = [] }) =>
    alerts.filter((each) => each.exp_alerts.length > 0).map(({ alertname }) => alertname),
  );
  const alerts = rules.flatMap(({ alert }) => alert ?? []);
  expect(alerts).not.toBeEmpty();
  expect(fired.toSorted()).toEqual(alerts.toSorted());
});

test("no panel of the dashboard lies on another, and each has a number of its own", () => {
  const { panels } = dashboard;
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const cells = panels.flatMap(({ gridPos: { h, w, x, y } }) =>
    Array.from({ length: h * w }, (_, i) => `${x + (i % w)} ${y + Math.floor(i / w)}`),
  );
  expect(new Set(cells).size).toBe(cells.length);
});

describe.skipIf(!hasPrometheus)(`a Prometheus that scrapes it${needsPrometheus}`, () => {
  const backends: FakeBackend[] = [];
  let proxy: Proxy;
  let prometheus: Prometheus;

  beforeAll(async () => {
    proxy = await startTroubled(backends);
    const { host } = new URL(proxy.admin);
    const config = await read("prometheus.yml");
    prometheus = await startPrometheus(
      config.replaceAll("127.0.0.1:9900", host).replaceAll("_interval: 15s", "_interval: 200ms"),
      { "leastwise.rules.yml": await read("leastwise.rules.yml") },
    );
    // What a series has when it is first seen is no increase: a rate needs a second round.
    for (let round = 0; round < 2; round++) {
      await makeTrouble(proxy);
      await prometheus.scraped("leastwise");
    }
  }, BUILD_TIMEOUT_MS);

  afterAll(async () => {
    await prometheus?.stop();
    await proxy?.stop();
    for (const backend of backends) backend.stop();
  });

  test.each(rules.filter(({ record }) => record !== undefined))(
    "gets data from the rule $record",
    async ({ record = "", expr }) => {
      expect(await prometheus.query(expr)).not.toBeEmpty();
      const recorded = await prometheus.until(record, (samples) => samples.length > 0);
      expect(recorded.some(({ value }) => Number.isFinite(value))).toBe(true);
    },
  );

  test.each(rules.filter(({ alert }) => alert !== undefined))(
    "has what the alert $alert compares",
    async ({ expr }) => {
      const compared = /^([\s\S]*\S)\s*(?:==|>) [\d.]+\s*$/.exec(expr)?.[1];
      expect(compared).toBeString();
      await prometheus.until(compared ?? "", (samples) => samples.length > 0);
    },
  );

  test.each(panels)("has data for $title: $legendFormat", async ({ expr, legendFormat }) => {
    const filled = expr
      .replaceAll("$__rate_interval", "5m")
      .replaceAll("$job", "leastwise")
      .replaceAll("$pool", ".*");
    expect(filled).not.toContain("$");
    const samples = await prometheus.until(filled, (found) =>
      // A quantile of no requests is no number; one line's at least is.
      found.some(({ value }) => Number.isFinite(value)),
    );
    // What a legend names is there, at least for one of the lines.
    for (const [, label = ""] of legendFormat.matchAll(/{{(\w+)}}/g)) {
      expect(samples.flatMap(({ labels }) => labels[label] ?? [])).not.toBeEmpty();
    }
  });

  test("knows every metric that the README names", async () => {
    const named = [...(await read("README.md")).matchAll(/`((?:http|leastwise)_\w+)`/g)];
    expect(named).not.toBeEmpty();
    for (const [, metric = ""] of named) {
      const name = metric.endsWith("_seconds") ? `${metric}_count` : metric;
      expect(await prometheus.query(name)).not.toBeEmpty();
    }
  });

  test("has values for the dashboard's variables", async () => {
    const queries = dashboard.templating.list.flatMap(({ query }) => query.query ?? []);
    expect(queries).toHaveLength(2);
    for (const query of queries) {
      const [, series = "", label = ""] = /^label_values\((.*), (\w+)\)$/.exec(query) ?? [];
      const samples = await prometheus.query(
        `group by (${label}) (${series.replaceAll("$job", "leastwise")})`,
      );
      expect(samples.flatMap(({ labels }) => labels[label] ?? [])).not.toBeEmpty();
    }
  });
});

/** Pools in which everything goes wrong that the rules and the dashboard look at. */
async function startTroubled(backends: FakeBackend[]): Promise<Proxy> {
  const start = (...how: Parameters<typeof startFakeBackend>): string => {
    const backend = startFakeBackend(...how);
    backends.push(backend);
    return backend.url;
  };
  const busy = () => ({ status: 503, body: "busy" });
  const connections = new Set<number>();
  /** Closes a connection when a second request comes over it. */
  const forgetful = start((request) => {
    if (connections.has(request.connection)) return { raw: [], afterwards: "fin" };
    connections.add(request.connection);
    return "ok";
  });
  const dead = startDeadBackend();
  backends.push(dead);
  return startProxy({
    config: {
      workers: 2,
      pools: {
        mixed: {
          backends: [start(), forgetful, start(busy), dead.url],
          ejection: { failures: 2 },
          retry: { attempts: 2, budget: 1, on: ["connect", "reset", "503"] },
        },
        busy: {
          backends: [start(busy), start(busy)],
          ejection: false,
          retry: { attempts: 2, budget: 0, on: ["503"] },
        },
        odd: { backends: [start()], strategy: "./odd.ts" },
      },
      routes: ["mixed", "busy", "odd"].map((pool) => ({ path: `/${pool}`, pool })),
    },
    files: {
      "odd.ts": `export default { name: "odd", apiVersion: 1, create: (env) => ({
        pick(candidates, { request }) {
          env.counter("picks").add();
          if (request.query.includes("fault")) throw new Error("odd");
          return candidates[0];
        } }) };`,
    },
  });
}

async function makeTrouble(proxy: Proxy): Promise<void> {
  await sendMany(`${proxy.url}/mixed`, 100, 4);
  await sendMany(`${proxy.url}/busy`, 200, 4);
  await sendMany(`${proxy.url}/odd`, 10, 1);
  await sendMany(`${proxy.url}/odd?fault`, 100, 4);
  await proxy.until("an ejection", (pools) =>
    pools.some(({ backends }) => backends.some(({ ejectedUntil }) => ejectedUntil !== null)),
  );
  const [victim] = await proxy.workers();
  process.kill(victim?.pid ?? 0, "SIGKILL");
  const replaced = async (): Promise<boolean> =>
    (await proxy.workers()).some(({ id, pid }) => id === victim?.id && pid !== victim.pid);
  while (!(await replaced())) await Bun.sleep(20);
  await sendMany(`${proxy.url}/mixed`, 20, 4);
}
