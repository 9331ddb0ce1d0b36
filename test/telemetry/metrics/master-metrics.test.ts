import { beforeEach, describe, expect, test } from "bun:test";
import { type HrTime, ValueType } from "@opentelemetry/api";
import { emptyResource } from "@opentelemetry/resources";
import { AggregationTemporality, DataPointType } from "@opentelemetry/sdk-metrics";
import {
  CLIENT_DURATION,
  INSTRUMENTS,
  RETRIES,
  SERVER_ACTIVE,
} from "../../../src/telemetry/metrics/instruments.ts";
import {
  type BackendFacts,
  type MasterFacts,
  MasterMetrics,
} from "../../../src/telemetry/metrics/master-metrics.ts";
import {
  createMetricProducer,
  CUMULATIVE,
  DATA_POINT_TYPE,
  DOUBLE,
} from "../../../src/telemetry/metrics/metric-producer.ts";
import { RegionWriter } from "../../../src/telemetry/metrics/region-writer.ts";
import type { Snapshot } from "../../../src/telemetry/metrics/snapshot.ts";
import { backendConfig } from "../../_support/pools.ts";

const SPAN = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };

let regions: Int32Array[];
let metrics: MasterMetrics;
let timeMs: number;

beforeEach(() => {
  regions = [0, 1].map(() => new Int32Array(10_000));
  timeMs = 1_700_000_000_000;
  metrics = new MasterMetrics({ regions, wallClock: () => timeMs });
});

function worker(index: number): RegionWriter {
  return new RegionWriter({ words: regions[index] as Int32Array, instruments: INSTRUMENTS });
}

function facts(change: Partial<MasterFacts> = {}): MasterFacts {
  return {
    backends: [],
    strategies: [],
    workers: { serving: 2, restarts: 0 },
    clientConnections: null,
    shadows: [],
    config: { reloads: 0, lastSucceeded: true, lastSuccessMs: 1_700_000_000_000 },
    ...change,
  };
}

function backend(change: Partial<BackendFacts> = {}): BackendFacts {
  return {
    pool: "web",
    id: "a",
    url: "http://10.0.0.1:3000",
    health: "healthy",
    ejected: false,
    draining: false,
    inFlight: 0,
    requests: 0,
    failures: 0,
    connections: { open: 0, idle: 0 },
    ...change,
  };
}

/** Values by `name{label values}`. */
function values(snapshot: Snapshot): Record<string, number[]> {
  return Object.fromEntries(
    snapshot.metrics.flatMap(({ instrument, points }) =>
      points.map((point) => [
        `${instrument.name}{${point.labels.map(([, value]) => value).join(",")}}`,
        [...point.values],
      ]),
    ),
  );
}

describe("the regions of workers", () => {
  test("add up by labels", () => {
    for (const index of [0, 1]) {
      const writer = worker(index);
      writer.number(RETRIES, ["connect", "web"]).add(2);
      writer.number(SERVER_ACTIVE, ["GET", "http"]).add(index === 0 ? 3 : -1);
      writer.number(RETRIES, [`${index}`, "web"]).add(1);
    }
    expect(values(metrics.snapshot(facts()))).toMatchObject({
      "leastwise.retries{connect,web}": [4],
      "leastwise.retries{0,web}": [1],
      "leastwise.retries{1,web}": [1],
      "http.server.active_requests{GET,http}": [2],
    });
  });

  test("keep the newest exemplar of a bucket", () => {
    const labels = ["GET", 200, null, "1.1", "web", "a", "10.0.0.1", 3000];
    worker(0).histogram(CLIENT_DURATION, labels).record(0.02, SPAN);
    const snapshot = metrics.snapshot(facts());
    worker(1).histogram(CLIENT_DURATION, labels).record(0.3, SPAN);
    const find = (each: Snapshot) =>
      each.metrics.find(({ instrument }) => instrument === CLIENT_DURATION)?.points[0]?.exemplars;
    expect(find(snapshot)?.filter((each) => each !== null)).toHaveLength(1);
    const buckets = find(metrics.snapshot(facts()))?.map((each) => each?.value ?? null);
    expect(buckets).toHaveLength(15);
    expect(buckets?.filter((each) => each !== null)).toEqual([0.02, 0.3]);
    expect(buckets?.[7]).toBe(0.3);
  });

  test("leave their counts behind when a worker dies, but not what it had under way", () => {
    const writer = worker(0);
    writer.number(RETRIES, ["connect", "web"]).add(2);
    writer.number(SERVER_ACTIVE, ["GET", "http"]).add(3);
    const labels = ["GET", 200, null, "1.1", "web", "a", "10.0.0.1", 3000];
    writer.histogram(CLIENT_DURATION, labels).record(0.003, null);
    metrics.workerEnded(0);
    const gone = values(metrics.snapshot(facts()));
    expect(gone["leastwise.retries{connect,web}"]).toEqual([2]);
    expect(
      gone["http.client.request.duration{GET,200,1.1,web,a,10.0.0.1,3000}"]?.slice(0, 3),
    ).toEqual([0.003, 1, 0]);
    expect(gone).not.toContainKey("http.server.active_requests{GET,http}");
    // The next one in its place begins with nothing and adds to what the dead one left.
    worker(0).number(RETRIES, ["connect", "web"]).add(5);
    expect(values(metrics.snapshot(facts()))["leastwise.retries{connect,web}"]).toEqual([7]);
    metrics.workerEnded(0);
    metrics.workerEnded(0);
    expect(values(metrics.snapshot(facts()))["leastwise.retries{connect,web}"]).toEqual([7]);
    expect(() => metrics.workerEnded(2)).toThrow(RangeError);
  });
});

describe("what the master knows itself", () => {
  test("is told with the rest", () => {
    metrics.ejected("web", backend(), "failures");
    metrics.ejected("web", backend(), "failures");
    metrics.healthChanged("web", backend(), "unhealthy");
    timeMs += 5000;
    const snapshot = metrics.snapshot(
      facts({
        backends: [
          backend({
            inFlight: 2,
            requests: 9,
            failures: 1,
            health: "unhealthy",
            connections: { open: 5, idle: 3 },
          }),
          backend({ id: "b", url: "unix:/run/b.sock" }),
        ],
        strategies: [{ pool: "web", strategy: "random", quarantined: 1 }],
        workers: { serving: 1, restarts: 4 },
        clientConnections: 6,
      }),
    );
    expect(snapshot).toMatchObject({ startMs: 1_700_000_000_000, timeMs: 1_700_000_005_000 });
    expect(values(snapshot)).toMatchObject({
      "leastwise.backend.ejections{failures,web,a,10.0.0.1,3000}": [2],
      "leastwise.backend.ejections{trial,web,a,10.0.0.1,3000}": [0],
      "leastwise.backend.health_changes{unhealthy,web,a,10.0.0.1,3000}": [1],
      "http.client.active_requests{web,a,10.0.0.1,3000}": [2],
      "http.client.open_connections{idle,web,a,10.0.0.1,3000}": [3],
      "http.client.open_connections{active,web,a,10.0.0.1,3000}": [2],
      "leastwise.backend.up{web,a,10.0.0.1,3000}": [0],
      "leastwise.backend.requests{web,a,10.0.0.1,3000}": [9],
      "leastwise.backend.failures{web,a,10.0.0.1,3000}": [1],
      "leastwise.backend.up{web,b,/run/b.sock}": [1],
      "leastwise.strategy.quarantined{web,random}": [1],
      "leastwise.workers{}": [1],
      "leastwise.worker.restarts{}": [4],
      "leastwise.client.connections{}": [6],
      "leastwise.config.reloads{}": [0],
      "leastwise.config.last_reload_success{}": [1],
      "leastwise.config.last_reload_time{}": [1_700_000_000],
    });
  });

  test.each([
    ["serves", {}, "available"],
    ["was not probed yet", { health: "unknown" }, "available"],
    ["is ejected", { ejected: true }, "ejected"],
    ["is ejected and probe-down", { ejected: true, health: "unhealthy" }, "down"],
    ["is draining and probe-down", { draining: true, health: "unhealthy" }, "draining"],
  ] as const)("a backend that %s is in one state", (_situation, change, state) => {
    const seen = values(metrics.snapshot(facts({ backends: [backend(change)] })));
    const of = (each: string) => seen[`leastwise.backend.status{${each},web,a,10.0.0.1,3000}`];
    for (const each of ["available", "down", "ejected", "draining"]) {
      expect(of(each)).toEqual([each === state ? 1 : 0]);
    }
  });

  test("is left out where the platform does not tell", () => {
    expect(values(metrics.snapshot(facts()))).not.toContainKey("leastwise.client.connections{}");
  });
});

describe("over reloads", () => {
  const HOUR_MS = 3_600_000;
  const pools = (...ids: string[]) => [
    { name: "web", backends: ids.map((id) => backendConfig(id, { url: "http://10.0.0.1:3000" })) },
  ];
  const labelsOf = (id: string) => ["GET", 200, null, "1.1", "web", id, "10.0.0.1", 3000];
  const durations = (id: string) =>
    `http.client.request.duration{GET,200,1.1,web,${id},10.0.0.1,3000}`;

  test("a backend that is gone for a while goes on from what was counted before", () => {
    metrics.poolsInForce(pools("a", "b"));
    metrics.ejected("web", backend(), "failures");
    metrics.rowEnded("web", backend(), { requests: 9, failures: 4 });
    metrics.rowEnded("web", backend(), { requests: 1, failures: 0 });
    metrics.poolsInForce(pools("b"));
    expect(values(metrics.snapshot(facts()))).not.toContainKey(
      "leastwise.backend.requests{web,a,10.0.0.1,3000}",
    );
    timeMs += HOUR_MS - 1;
    for (const ids of [["b"], ["a", "b"]]) metrics.poolsInForce(pools(...ids));
    timeMs += HOUR_MS;
    metrics.poolsInForce(pools("a", "b"));
    const back = facts({ backends: [backend({ requests: 2, failures: 1 })] });
    expect(values(metrics.snapshot(back))).toMatchObject({
      "leastwise.backend.requests{web,a,10.0.0.1,3000}": [12],
      "leastwise.backend.failures{web,a,10.0.0.1,3000}": [5],
      "leastwise.backend.ejections{failures,web,a,10.0.0.1,3000}": [1],
    });
  });

  test("nothing is kept of a backend or a pool that is gone for an hour", () => {
    metrics.poolsInForce([...pools("a", "b"), { name: "other", backends: [] }]);
    for (const id of ["a", "b"]) {
      metrics.ejected("web", backend({ id }), "failures");
      worker(0).histogram(CLIENT_DURATION, labelsOf(id)).record(0.003, null);
      metrics.workerEnded(0);
    }
    const other = worker(1);
    for (const name of ["web", "other"]) other.number(RETRIES, ["connect", name]).add(1);
    metrics.workerEnded(1);
    metrics.rowEnded("web", backend(), { requests: 9, failures: 4 });
    metrics.poolsInForce(pools("b"));
    timeMs += HOUR_MS;
    metrics.poolsInForce(pools("b"));
    const seen = values(metrics.snapshot(facts({ backends: [backend(), backend({ id: "b" })] })));
    expect(seen).toMatchObject({
      "leastwise.backend.requests{web,a,10.0.0.1,3000}": [0],
      "leastwise.backend.ejections{failures,web,a,10.0.0.1,3000}": [0],
      "leastwise.backend.ejections{failures,web,b,10.0.0.1,3000}": [1],
    });
    expect(seen).not.toContainKey(durations("a"));
    expect(seen[durations("b")]?.[1]).toBe(1);
    expect(Object.keys(seen).filter((name) => name.startsWith("leastwise.retries"))).toHaveLength(
      1,
    );
    expect(seen[`leastwise.retries{connect,web}`]).toEqual([1]);
  });

  test("a series of which a living worker has a part never becomes less", () => {
    metrics.poolsInForce(pools("a", "b"));
    worker(0).histogram(CLIENT_DURATION, labelsOf("a")).record(0.003, null);
    worker(1).histogram(CLIENT_DURATION, labelsOf("a")).record(0.003, null);
    metrics.workerEnded(0);
    for (let hour = 0; hour < 3; hour++) {
      metrics.poolsInForce(pools("b"));
      expect(values(metrics.snapshot(facts()))[durations("a")]?.[1]).toBe(2);
      timeMs += HOUR_MS;
    }
    metrics.workerEnded(1);
    metrics.poolsInForce(pools("b"));
    expect(values(metrics.snapshot(facts()))).not.toContainKey(durations("a"));
  });

  test("months of other backends every minute need neither more room nor series without labels", () => {
    const overflows: string[] = [];
    const words = regions[0] as Int32Array;
    const start = () =>
      new RegionWriter({
        words,
        instruments: INSTRUMENTS,
        onFull: ({ name }) => void overflows.push(name),
      });
    let writer = start();
    let most = 0;
    let recycled = 0;
    for (let minute = 1; minute <= 2000; minute++) {
      const current = pools("stays", `${minute}`, `${minute + 1}`);
      if (metrics.isOutgrown(0, current)) {
        metrics.workerEnded(0);
        writer = start();
        recycled++;
      }
      metrics.poolsInForce(current);
      for (const id of ["stays", `${minute}`]) {
        writer.histogram(CLIENT_DURATION, labelsOf(id)).record(0.003, null);
        metrics.ejected("web", backend({ id }), "failures");
      }
      timeMs += 60_000;
      if (minute % 50 > 0) continue;
      const seen = values(metrics.snapshot(facts()));
      most = Math.max(most, Object.keys(seen).length);
      expect(seen[durations("stays")]?.[1]).toBe(minute);
    }
    expect(overflows).toEqual([]);
    expect(recycled).toBeGreaterThan(2);
    // What an hour brings, and what one region holds.
    expect(most).toBeLessThan(1000);
  });

  test("a region that is full of what is in force is as good as the next one would be", () => {
    const ids = Array.from({ length: 400 }, (_, index) => `${index}`);
    const writer = worker(0);
    for (const id of ids) writer.histogram(CLIENT_DURATION, labelsOf(id)).record(0.003, null);
    expect(metrics.isOutgrown(0, pools(...ids))).toBe(false);
    expect(metrics.isOutgrown(0, pools("new"))).toBe(true);
    expect(metrics.isOutgrown(1, pools("new"))).toBe(false);
  });
});

describe("for the SDK", () => {
  test("its enumerations have the values that are written out here", () => {
    expect(DATA_POINT_TYPE.histogram).toBe(DataPointType.HISTOGRAM);
    expect(DATA_POINT_TYPE.gauge).toBe(DataPointType.GAUGE);
    expect(DATA_POINT_TYPE.sum).toBe(DataPointType.SUM);
    expect(CUMULATIVE).toBe(AggregationTemporality.CUMULATIVE);
    expect(DOUBLE).toBe(ValueType.DOUBLE);
  });

  test("points are ready-made, with the kinds that the instruments have", async () => {
    const writer = worker(0);
    writer.number(RETRIES, ["connect", "web"]).add(2);
    writer.number(SERVER_ACTIVE, ["GET", "http"]).add(3);
    const labels = ["GET", 200, null, "1.1", "web", "a", "10.0.0.1", 3000];
    writer.histogram(CLIENT_DURATION, labels).record(0.5, null);
    timeMs += 1500;
    const scope = { name: "leastwise", version: "1.2.3" };
    const producer = createMetricProducer({
      snapshot: async () => metrics.snapshot(facts()),
      scope,
      resource: emptyResource(),
    });
    const { resourceMetrics, errors } = await producer.collect();
    expect(errors).toEqual([]);
    const [scopeMetrics] = resourceMetrics.scopeMetrics;
    expect(scopeMetrics?.scope).toEqual(scope);
    const find = (name: string) =>
      scopeMetrics?.metrics.find(({ descriptor }) => descriptor.name === name);
    const startTime: HrTime = [1_700_000_000, 0];
    const endTime: HrTime = [1_700_000_001, 500_000_000];
    expect(find("http.client.request.duration")).toMatchObject({
      descriptor: { unit: "s", valueType: ValueType.DOUBLE },
      dataPointType: DataPointType.HISTOGRAM,
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
      dataPoints: [
        {
          startTime,
          endTime,
          attributes: {
            "http.request.method": "GET",
            "http.response.status_code": 200,
            "network.protocol.version": "1.1",
            "leastwise.pool": "web",
            "leastwise.backend.id": "a",
            "server.address": "10.0.0.1",
            "server.port": 3000,
          },
          value: {
            sum: 0.5,
            count: 1,
            buckets: {
              boundaries: [
                0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
              ],
              counts: [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
            },
          },
        },
      ],
    });
    expect(find("leastwise.retries")).toMatchObject({
      dataPointType: DataPointType.SUM,
      isMonotonic: true,
      dataPoints: [{ value: 2 }],
    });
    expect(find("http.server.active_requests")).toMatchObject({
      dataPointType: DataPointType.SUM,
      isMonotonic: false,
      dataPoints: [{ value: 3 }],
    });
    expect(find("leastwise.config.last_reload_success")).toMatchObject({
      dataPointType: DataPointType.GAUGE,
      dataPoints: [{ value: 1 }],
    });
  });
});

describe("a shadow", () => {
  const figures = {
    picks: 10,
    agreed: 6,
    agreement: 0.6,
    refused: 1,
    fallbacks: 1,
    faults: 2,
    dropped: 3,
    pickMs: { sum: 0.02, p50: 0.002, p99: 0.002, buckets: [0, 10, ...Array(12).fill(0)] },
    backends: [
      {
        id: "a",
        shadow: { requests: 9, share: 1, inFlight: { now: 4, mean: 1, max: 5 } },
        acting: { requests: 10, share: 1, inFlight: { now: 0, mean: 1, max: 5 } },
      },
      {
        id: "made up by its strategy",
        shadow: { requests: 1, share: 0, inFlight: { now: 1, mean: 1, max: 1 } },
        acting: { requests: 0, share: 0, inFlight: { now: 0, mean: 0, max: 0 } },
      },
    ],
  };
  const shadow = {
    pool: "web",
    strategy: "candidate",
    index: 1,
    running: true,
    backends: [{ id: "a", url: "http://10.0.0.1:3000" }],
    figures,
  };
  const shown = (shadows: MasterFacts["shadows"]) =>
    Object.fromEntries(
      metrics
        .snapshot(facts({ shadows }))
        .metrics.filter(({ instrument }) => instrument.name.startsWith("leastwise.shadow."))
        .map(({ instrument: { name }, points }) => [
          name.slice("leastwise.shadow.".length),
          points.map(({ labels, values }) => [
            labels.map(([, value]) => value).join(" "),
            ...values,
          ]),
        ]),
    );

  test("shows what it would have done, for the backends of its pool", () => {
    expect(shown([shadow])).toEqual({
      running: [["web candidate 1", 1]],
      picks: [
        ["agreed web candidate 1", 6],
        ["differed web candidate 1", 2],
        ["fallback web candidate 1", 1],
        ["refused web candidate 1", 1],
      ],
      "pick.duration": [["web candidate 1", 0.00002, 0, 10, ...Array(12).fill(0)]],
      faults: [["web candidate 1", 2]],
      dropped: [["web candidate 1", 3]],
      requests: [["candidate 1 web a 10.0.0.1 3000", 9]],
      in_flight: [["candidate 1 web a 10.0.0.1 3000", 4]],
    });
  });

  test("that is gone is not taken back from counters, and has nothing in flight", () => {
    metrics.shadowGone(shadow);
    const next = { ...shadow, running: false, figures: null };
    const after = shown([next]);
    expect(after["running"]).toEqual([["web candidate 1", 0]]);
    expect(after["picks"]?.[0]).toEqual(["agreed web candidate 1", 6]);
    expect(after["in_flight"]).toBeUndefined();
    expect(shown([shadow])["requests"]).toEqual([["candidate 1 web a 10.0.0.1 3000", 18]]);
  });

  test("whose process tells other buckets than there are is shown without them", () => {
    const pickMs = { ...figures.pickMs, buckets: [1] };
    const made = shown([{ ...shadow, figures: { ...figures, pickMs } }]);
    expect(made["pick.duration"]).toBeUndefined();
    expect(made["faults"]).toEqual([["web candidate 1", 2]]);
  });
});
