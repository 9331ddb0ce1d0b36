import * as z from "zod";
import { affinity } from "./affinity-schema.ts";
import { type BackendUrl, parseBackendUrl } from "./backend-url.ts";
import { isRuledName, repeatsName, ruledNameForms } from "./header-rules.ts";
import { slowStart } from "./slow-start-schema.ts";
import { parseStatusRanges, statusForms } from "./status-ranges.ts";
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
  sectionOrFalse,
  size,
  text,
} from "./value.ts";

/* One pool of a config file; `schema.ts` has the rest. */

const requestPath = text(
  "a path that starts with /, in printable ASCII without spaces and #, the rest percent-encoded",
  /^\/[\x21\x22\x24-\x7e]*$/,
);
const authority = text(
  "a host name in ASCII (xn--… for others) or an IP address, IPv6 in brackets, with a port if need be",
  /^(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::(?:\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5]))?$/,
);

const backendUrl = parsedText("http://host:port or unix:/path", parseBackendUrl).meta({
  description: "http://host:port (port 80 unless given) or unix:/path.",
  pattern: "^(http://|unix:/)",
});

export interface ParsedBackend {
  readonly url: BackendUrl;
  readonly id?: string | undefined;
  readonly weight: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly maxInFlight?: number | undefined;
  readonly backup?: boolean;
}

const backend = z.union(
  [
    backendUrl.transform((url): ParsedBackend => ({ url, weight: 1, labels: {} })),
    section({
      url: backendUrl,
      id: text("1 to 128 letters, digits and . _ ~ : -", /^[A-Za-z0-9._~:-]{1,128}$/)
        .optional()
        .meta({ description: "Names the backend everywhere; host:port unless given." }),
      weight: z
        .number({ error: "a number above 0 (to take a backend out, remove it)" })
        .gt(0, { error: "a number above 0 (to take a backend out, remove it)" })
        .default(1)
        .meta({ description: "Twice the weight means twice the share." }),
      labels: z
        .record(z.string(), z.string({ error: "a text" }), { error: "an object of texts" })
        .default({})
        .meta({ description: "Free texts that strategies may read." }),
      maxInFlight: integer(1).optional().meta({
        description: "Requests in flight above which it gets no more; no limit unless given.",
      }),
      backup: z
        .boolean({ error: "true or false" })
        .default(false)
        .meta({ description: "Gets requests only when no other backend can." }),
    }).transform((backend): ParsedBackend => backend),
  ],
  { error: "a URL or an object with url, id, weight, labels, maxInFlight, backup" },
);

const health = sectionOrFalse({
  path: requestPath
    .optional()
    .meta({ description: "Requested from the backend; without it a TCP connect is the probe." }),
  port: integer(1, 65535).optional().meta({ description: "The backend's own unless given." }),
  host: authority
    .optional()
    .meta({ description: "Host field of the probe; the backend's host and port unless given." }),
  headers: z.record(headerName, headerValue, { error: "an object of header values" }).default({}),
  method: oneOf(["GET", "HEAD", "OPTIONS"]).default("GET"),
  interval: duration({ minMs: 10 }).prefault("5s"),
  timeout: duration({ minMs: 1 }).prefault("2s"),
  rise: integer(1)
    .default(2)
    .meta({ description: "Good probes in a row that make an unhealthy backend healthy." }),
  fall: integer(1)
    .default(3)
    .meta({ description: "Bad probes in a row that make a healthy backend unhealthy." }),
  jitter: fraction()
    .default(0.1)
    .meta({ description: "Fraction of the interval by which each wait is varied." }),
  status: z
    .union(
      [
        parsedText(statusForms, parseStatusRanges),
        integer(100, 599, statusForms).transform((code) => [[code, code] as const]),
      ],
      { error: statusForms },
    )
    .prefault("200-299")
    .meta({ description: "Good status codes." }),
  body: z
    .string({ error: "a text" })
    .min(1, { error: "a text of at least one character" })
    .optional()
    .meta({ description: "Text that a good answer's body contains." }),
});

const ejection = sectionOrFalse({
  failures: integer(1)
    .default(5)
    .meta({ description: "Failures in a row, over all workers, that eject." }),
  base: duration({ minMs: 1 }).prefault("10s").meta({
    description: "Length of the first ejection; the n-th in a row lasts n times as long.",
  }),
  max: duration({ minMs: 1 }).prefault("300s"),
  maxPercent: integer(0, 100)
    .default(50)
    .meta({ description: "Share of the healthy backends that may be ejected at once." }),
});

const retry = sectionOrFalse({
  attempts: integer(1, 100).default(2).meta({
    description: "Attempts per request including the first; failures to connect do not count.",
  }),
  budget: fraction()
    .default(0.2)
    .meta({ description: "Retries may be this fraction of the recent requests." }),
  on: listOf(
    oneOf(["connect", "reset", "timeout", "502", "503", "504"]),
    'a list of "connect", "reset", "timeout", "502", "503", "504"',
  ).default(["connect", "reset"]),
});

const ruledName = headerName.refine(isRuledName, { error: ruledNameForms });
const ruledValues = z
  .record(ruledName, headerValue, { error: "an object of header values" })
  .refine((values) => !repeatsName(values), { error: "each header name once, whatever its case" });
const headerRules = section({
  set: ruledValues.default({}).meta({ description: "In place of fields of the same name." }),
  add: ruledValues.default({}).meta({ description: "Beside fields of the same name." }),
  remove: listOf(ruledName, "a list of header names").default([]),
});

interface ParsedStrategy {
  readonly use: string;
  readonly options?: unknown;
}

const strategy = z.union(
  [
    z.string({ error: "a name or a file" }).transform((use): ParsedStrategy => ({ use })),
    section({
      use: z.string({ error: "a name or a file" }),
      options: z.unknown().optional(),
    }).transform((strategy): ParsedStrategy => strategy),
  ],
  { error: "the name of a strategy, a file, or an object with use, options" },
);

export const pool = section({
  backends: listOf(backend, "a list of backends").meta({ minItems: 1 }),
  strategy: strategy
    .prefault("least-connections")
    .meta({ description: "A built-in by name, or a strategy file, relative to this file." }),
  shadow: listOf(strategy, "a list of strategies").default([]).meta({
    description:
      "Strategies that are shown the pool's traffic, each in a process of its own, and place nothing.",
  }),
  health: health.prefault({}).meta({ description: "Probes; false: none." }),
  ejection: ejection
    .prefault({})
    .meta({ description: "Taking backends out for failures of real traffic; false: never." }),
  retry: retry
    .prefault({})
    .meta({ description: "Giving a failed request to another backend; false: never." }),
  timeouts: section({
    connect: duration({ minMs: 1 }).prefault("2s"),
    firstByte: duration({ minMs: 1 }).prefault("60s"),
    idle: duration({ minMs: 1 })
      .prefault("60s")
      .meta({ description: "No byte either way inside a message." }),
    request: duration({ minMs: 1 })
      .optional()
      .meta({ description: "The whole request; no limit unless given." }),
  }).prefault({}),
  connections: section({
    maxIdle: integer(0).default(256).meta({ description: "Kept open per backend and worker." }),
    idle: duration({ minMs: 1 }).prefault("60s"),
    maxAge: duration({ minMs: 1 }).optional(),
  }).prefault({}),
  body: section({
    max: size().prefault("1GiB").meta({ description: "Largest request body; above it 413." }),
  }).prefault({}),
  hostHeader: oneOf(["preserve", "backend"]).default("preserve").meta({
    description: "Whether the backend sees the Host that the client sent, or its own.",
  }),
  headers: section({
    request: headerRules.prefault({}).meta({ description: "Of requests to the backends." }),
    response: headerRules.prefault({}).meta({ description: "Of the backends' answers." }),
  }).prefault({}),
  affinity: affinity.optional().meta({
    description:
      "Sticky sessions: a client goes on at the backend it began with; off unless given.",
  }),
  slowStart: slowStart.optional().meta({
    description:
      "A backend that becomes available gets its share little by little; off unless given.",
  }),
});

/** A pool after defaults and units. */
export type PoolOutput = z.output<typeof pool>;
