import { describe, expect, test } from "bun:test";
import { chooseFormat } from "../../../src/telemetry/metrics/accept.ts";
import { expose, OPENMETRICS_TYPE, TEXT_TYPE } from "../../../src/telemetry/metrics/exposition.ts";
import type { Instrument } from "../../../src/telemetry/metrics/instrument.ts";
import { INSTRUMENTS } from "../../../src/telemetry/metrics/instruments.ts";
import { prometheusFamily } from "../../../src/telemetry/metrics/prometheus-name.ts";
import type { Snapshot } from "../../../src/telemetry/metrics/snapshot.ts";

const histogram: Instrument = {
  name: "http.server.request.duration",
  unit: "s",
  description: "Duration of requests.",
  kind: "histogram",
  bounds: [0.5, 1],
  labels: [],
};
const counter: Instrument = {
  name: "leastwise.retries",
  unit: "{retry}",
  description: 'With "quotes", a \\ and\na line.',
  kind: "counter",
  bounds: [],
  labels: [],
};
const active: Instrument = {
  ...counter,
  name: "a.b",
  description: "Active.",
  kind: "upDownCounter",
};
const time: Instrument = { ...active, name: "last.time", unit: "s", kind: "gauge" };

const SNAPSHOT: Snapshot = {
  startMs: 0,
  timeMs: 0,
  metrics: [
    {
      instrument: histogram,
      points: [
        {
          labels: [["http.response.status_code", 200]],
          values: Float64Array.of(3.5, 1, 0, 2),
          exemplars: [
            null,
            null,
            {
              traceId: "0af7651916cd43dd8448eb211c80319c",
              spanId: "b7ad6b7169203331",
              value: 1.5,
              timeMs: 1_700_000_000_250,
            },
          ],
        },
      ],
    },
    {
      instrument: counter,
      points: [
        { labels: [["pool", 'a"b\\c\nd']], values: Float64Array.of(7), exemplars: [] },
        { labels: [["otel.metric.overflow", "true"]], values: Float64Array.of(1), exemplars: [] },
      ],
    },
    { instrument: active, points: [{ labels: [], values: Float64Array.of(-2), exemplars: [] }] },
    {
      instrument: time,
      points: [{ labels: [], values: Float64Array.of(1_700_000_000.5), exemplars: [] }],
    },
  ],
};
const ORIGIN = {
  resource: { "service.name": "leastwise", "process.pid": 7 },
  scope: { name: "leastwise", version: "1.2.3" },
};
const SCOPE = 'otel_scope_name="leastwise",otel_scope_version="1.2.3"';

test("the text format has names with units and totals, escaped labels, and no exemplars", () => {
  const { contentType, body } = expose(SNAPSHOT, ORIGIN, "text");
  expect(contentType).toBe(TEXT_TYPE);
  expect(body).toBe(`# HELP target_info What the metrics are of.
# TYPE target_info gauge
target_info{service_name="leastwise",process_pid="7"} 1
# HELP http_server_request_duration_seconds Duration of requests.
# TYPE http_server_request_duration_seconds histogram
http_server_request_duration_seconds_bucket{http_response_status_code="200",${SCOPE},le="0.5"} 1
http_server_request_duration_seconds_bucket{http_response_status_code="200",${SCOPE},le="1"} 1
http_server_request_duration_seconds_bucket{http_response_status_code="200",${SCOPE},le="+Inf"} 3
http_server_request_duration_seconds_sum{http_response_status_code="200",${SCOPE}} 3.5
http_server_request_duration_seconds_count{http_response_status_code="200",${SCOPE}} 3
# HELP leastwise_retries_total With "quotes", a \\\\ and\\na line.
# TYPE leastwise_retries_total counter
leastwise_retries_total{pool="a\\"b\\\\c\\nd",${SCOPE}} 7
leastwise_retries_total{otel_metric_overflow="true",${SCOPE}} 1
# HELP a_b Active.
# TYPE a_b gauge
a_b{${SCOPE}} -2
# HELP last_time_seconds Active.
# TYPE last_time_seconds gauge
last_time_seconds{${SCOPE}} 1700000000.5
`);
});

test("resource attributes that are one label in Prometheus become one, and every name may be one", () => {
  const resource = {
    team_name: "b",
    "team.name": "a",
    "team name": "c",
    "1st": "d",
    __name__: "e",
    "x._y": "f",
  };
  const { body } = expose(SNAPSHOT, { ...ORIGIN, resource }, "text");
  expect(body.split("\n")[2]).toBe('target_info{team_name="c;a;b",_1st="d",_name_="e",x_y="f"} 1');
});

test("OpenMetrics has units, canonical bounds, exemplars and an end", () => {
  const { contentType, body } = expose(SNAPSHOT, ORIGIN, "openmetrics");
  expect(contentType).toBe(OPENMETRICS_TYPE);
  expect(body).toBe(`# HELP target What the metrics are of.
# TYPE target info
target_info{service_name="leastwise",process_pid="7"} 1
# HELP http_server_request_duration_seconds Duration of requests.
# TYPE http_server_request_duration_seconds histogram
# UNIT http_server_request_duration_seconds seconds
http_server_request_duration_seconds_bucket{http_response_status_code="200",${SCOPE},le="0.5"} 1
http_server_request_duration_seconds_bucket{http_response_status_code="200",${SCOPE},le="1.0"} 1
http_server_request_duration_seconds_bucket{http_response_status_code="200",${SCOPE},le="+Inf"} 3 # {trace_id="0af7651916cd43dd8448eb211c80319c",span_id="b7ad6b7169203331"} 1.5 1700000000.25
http_server_request_duration_seconds_sum{http_response_status_code="200",${SCOPE}} 3.5
http_server_request_duration_seconds_count{http_response_status_code="200",${SCOPE}} 3
# HELP leastwise_retries With \\"quotes\\", a \\\\ and\\na line.
# TYPE leastwise_retries counter
leastwise_retries_total{pool="a\\"b\\\\c\\nd",${SCOPE}} 7
leastwise_retries_total{otel_metric_overflow="true",${SCOPE}} 1
# HELP a_b Active.
# TYPE a_b gauge
a_b{${SCOPE}} -2
# HELP last_time_seconds Active.
# TYPE last_time_seconds gauge
# UNIT last_time_seconds seconds
last_time_seconds{${SCOPE}} 1700000000.5
# EOF
`);
});

describe("the format is the one that Accept likes best", () => {
  const cases: readonly (readonly [accept: string | null, format: "text" | "openmetrics"])[] = [
    [null, "text"],
    ["*/*", "text"],
    ["application/json", "text"],
    ["text/plain", "text"],
    ["application/openmetrics-text", "openmetrics"],
    ["application/openmetrics-text; version=1.0.0; charset=utf-8", "openmetrics"],
    ['Application/OpenMetrics-Text;version="0.0.1"', "openmetrics"],
    ["application/openmetrics-text; version=2.0.0", "text"],
    ["application/openmetrics-text;q=0.2, text/plain;q=0.5", "text"],
    ["text/plain;q=0.5, application/openmetrics-text;q=0.5", "text"],
    ["application/openmetrics-text;q=0", "text"],
    ["application/openmetrics-text;q=much", "text"],
    // Prometheus 2.53, then Prometheus 3.
    [
      "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
      "openmetrics",
    ],
    [
      "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
      "openmetrics",
    ],
  ];
  test.each(cases)("%s: %s", (accept, format) => expect(chooseFormat(accept)).toBe(format));
});

test("no two metrics have one name, in Prometheus neither", () => {
  expect(INSTRUMENTS.length).toBeGreaterThan(20);
  for (const names of [
    INSTRUMENTS.map(({ name }) => name),
    INSTRUMENTS.map((instrument) => prometheusFamily(instrument)),
  ]) {
    expect(new Set(names).size).toBe(INSTRUMENTS.length);
  }
  for (const instrument of INSTRUMENTS) {
    expect(prometheusFamily(instrument)).toMatch(/^[a-z][a-z_]*$/);
    // OpenMetrics 1.0 keeps these endings for samples of a family.
    expect(prometheusFamily(instrument)).not.toMatch(/_(total|count|sum|bucket|created|info)$/);
  }
});
