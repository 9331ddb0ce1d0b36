import * as z from "zod";
import {
  duration,
  fraction,
  headerName,
  headerValue,
  integer,
  listOf,
  oneOf,
  parsedText,
  section,
  text,
} from "./value.ts";

/* The `telemetry` section: the same as the `OTEL_*` variables, which `telemetry-environment.ts` lays over it. */

const endpoint = parsedText("a URL such as http://127.0.0.1:4318", (value) => {
  const allowed = "a URL such as http://127.0.0.1:4318";
  if (!/^https?:\/\//i.test(value) || !URL.canParse(value)) return { allowed };
  const { username, password, port } = new URL(value);
  if (port === "0") return { allowed, reason: "nobody can listen on port 0" };
  if (username !== "" || password !== "") {
    return { allowed: `${allowed}; put credentials into headers`, reason: "with credentials" };
  }
  return { value };
}).meta({ pattern: "^https?://" });

const file = text("the path of a file", /\S/);

const otlp = section({
  endpoint: endpoint
    .optional()
    .meta({ description: "v1/traces or v1/metrics is added, unless it is for one signal only." }),
  protocol: oneOf(["http/protobuf", "http/json", "grpc"]).optional(),
  headers: z.record(headerName, headerValue, { error: "an object of header values" }).optional(),
  timeout: duration({ minMs: 1 })
    .optional()
    .meta({ description: "For one export with all its tries; 10s unless given." }),
  compression: oneOf(["none", "gzip"]).optional(),
  certificate: file
    .optional()
    .meta({ description: "Authorities in PEM; the system's unless given." }),
  clientKey: file.optional(),
  clientCertificate: file.optional(),
});

const otlpOfSignal = otlp
  .prefault({})
  .meta({ description: "What differs from the general section." });

const traces = section({
  exporter: oneOf(["otlp", "console", "none"])
    .optional()
    .meta({ description: "otlp as soon as an endpoint is named." }),
  sampler: oneOf([
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
  ]).optional(),
  ratio: fraction().optional().meta({ description: "The share of traces that is kept." }),
  batch: section({
    delay: duration({ minMs: 0 }).prefault("5s"),
    timeout: duration({ minMs: 1 }).prefault("30s"),
    maxQueue: integer(1, 65_536).default(2048).meta({
      description:
        "Spans that wait or are being sent, per worker, and never more than 3 MiB of them; more are dropped and counted.",
    }),
    maxBatch: integer(1, 65_536)
      .optional()
      .meta({ description: "512 unless given, and not more than maxQueue." }),
  }).prefault({}),
  limits: section({
    attributes: integer(0).default(128),
    attributeLength: integer(1).optional(),
    events: integer(0).default(128),
    links: integer(0).default(128),
    eventAttributes: integer(0).default(128),
    linkAttributes: integer(0).default(128),
  }).prefault({}),
  otlp: otlpOfSignal,
});

const metrics = section({
  exporter: oneOf(["otlp", "console", "prometheus", "none"]).optional().meta({
    description:
      "otlp as soon as an endpoint is named; prometheus: only /metrics, which is always served.",
  }),
  interval: duration({ minMs: 1 }).prefault("60s"),
  timeout: duration({ minMs: 1 }).prefault("30s").meta({ description: "At most the interval." }),
  otlp: otlpOfSignal,
});

const attributeName = text("the name of an attribute", /\S/);

export const telemetry = section({
  disabled: z.boolean({ error: "true or false" }).default(false),
  trust: oneOf(["private", "always", "never"]).default("private").meta({
    description:
      "Whose trace context is continued; private: loopback, private addresses and trustedProxies.",
  }),
  serviceName: text("a name", /\S/).optional(),
  resourceAttributes: z
    .record(attributeName, z.string({ error: "a text" }), { error: "an object of texts" })
    .default({}),
  propagators: listOf(
    oneOf(["tracecontext", "baggage", "none"]),
    'a list of "tracecontext", "baggage", "none"',
  ).default(["tracecontext", "baggage"]),
  knownMethods: listOf(
    text("a method such as GET", /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/),
    "a list of methods",
  ).optional(),
  logLevel: oneOf(["none", "error", "warn", "info", "debug", "verbose", "all"]).default("warn"),
  traces: traces.prefault({}),
  metrics: metrics.prefault({}),
  otlp: otlp.prefault({}),
}).meta({ description: "Traces and metrics by OTLP; the OTEL_* variables say the same and win." });

export type TelemetryOutput = z.output<typeof telemetry>;
export type OtlpOutput = z.output<typeof otlp>;
