import * as z from "zod";
import {
  DEFAULT_ADMIN,
  DEFAULT_LISTEN,
  parseAddress,
  parseAdminAddress,
  parseUnixPath,
} from "./address.ts";
import type { SocketAddress } from "./config.ts";
import { isCredential, loggedNameForms } from "./header-rules.ts";
import { pool } from "./pool-schema.ts";
import { telemetry } from "./telemetry-schema.ts";
import { parseTrustedProxy } from "./trusted-proxy.ts";
import { durationForms } from "./units.ts";
import {
  duration,
  headerName,
  integer,
  listOf,
  oneOf,
  parsedText,
  section,
  size,
  text,
} from "./value.ts";

/*
 * What a config file may hold. The input side is `UserConfig`, kept equal by a test; the output side
 * has its durations in milliseconds and its defaults filled in, and `resolve.ts` makes a `Config` of it.
 */

const addressForms = "an address such as 0.0.0.0:8080 or unix:/path";
const addressText = parsedText(addressForms, (text) => parseAddress(text));
const adminAddressText = parsedText(addressForms, parseAdminAddress);
const hostName = text(
  "a host name without scheme, port or path",
  /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)$/,
);
const listen = z.union(
  [
    section({ address: addressText }).transform(({ address }): SocketAddress => address),
    section({ unix: parsedText("an absolute path", parseUnixPath) }).transform(
      ({ unix }): SocketAddress => ({ unix }),
    ),
  ],
  { error: 'an object with either address or unix, such as { address: "0.0.0.0:8080" }' },
);

const poolName = text(
  "a pool name of letters, digits and . _ -, starting with a letter or digit",
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
);

const route = section({
  host: text(
    "a host name without port, or *.example.com for one label before it",
    /^(\[[0-9a-fA-F:.]+\]|(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)$/,
  )
    .optional()
    .meta({
      description: "Without port and case; *.example.com is one label; any host unless given.",
    }),
  path: text(
    "a path that starts with /, exact or with a final /* for everything below it",
    /^\/[^*?#\s]*$|^\/([^*?#\s]*\/)?\*$/,
  )
    .optional()
    .meta({
      description: "Exact, or with a final /*; /v1/* matches /v1 too; any path unless given.",
    }),
  pool: z.string({ error: "the name of a pool" }),
  stripPrefix: z.boolean({ error: "true or false" }).default(false).meta({
    description: "Whether the backend gets /users for /v1/users where path is /v1/*.",
  }),
});

const accessLog = z.union(
  [
    oneOf(["off", "errors", "all"]).transform((log) => ({ log })),
    section({
      log: oneOf(["errors", "all"]).default("errors"),
      file: text("the path of a file", /^[^\0]*[^\0/]$/)
        .optional()
        .meta({
          description: "Relative to this file; SIGHUP opens it anew. stderr unless given.",
        }),
      format: oneOf(["auto", "json", "text"])
        .default("auto")
        .meta({ description: "auto: text on a terminal, JSON elsewhere." }),
      redactQuery: listOf(text("a key of the query", /./), "a list of keys of the query")
        .default([])
        .meta({
          description:
            "Keys of the query whose values are neither written nor traced, beside signatures.",
        }),
      requestHeaders: listOf(
        headerName.refine((name) => !isCredential(name), { error: loggedNameForms }),
        "a list of header names",
      )
        .default([])
        .meta({ description: "Header fields of the request that are written too." }),
    }),
  ],
  {
    error:
      '"off", "errors", "all" or an object with log, file, format, redactQuery, requestHeaders',
  },
);

const connectionForms = '"auto" or a whole number of at least 1';
const workerForms = '"auto" or a whole number from 1 to 1024';

export const configSchema = section({
  listen: listOf(listen, 'a list such as [{ address: "0.0.0.0:8080" }]')
    .refine((list) => list.length > 0, { error: "at least one address" })
    .prefault([{ address: DEFAULT_LISTEN }])
    .meta({ minItems: 1 }),
  pools: z
    .record(poolName, pool, { error: "an object with at least one pool" })
    .meta({ description: "Named groups of backends, each with one strategy." }),
  routes: listOf(route, "a list of routes")
    .default([])
    .meta({ description: "First match wins. One pool needs none." }),
  trustedProxies: listOf(
    parsedText('an IP address, a network such as 10.0.0.0/8, or "unix"', parseTrustedProxy),
    "a list of IP addresses and networks",
  )
    .default([])
    .meta({
      description: "Peers whose X-Forwarded-*, Forwarded and X-Request-Id are believed.",
    }),
  clientConnections: section({
    max: z
      .union([z.literal("auto"), integer(1, Number.MAX_SAFE_INTEGER, connectionForms)], {
        error: connectionForms,
      })
      .default("auto")
      .meta({
        description:
          "Above it the client with the most connections loses some; auto: what the limit of file descriptors allows.",
      }),
    maxPerAddress: integer(1).optional().meta({
      description:
        "Per client address (IPv6: per /64), except trusted proxies; no limit unless given.",
    }),
  })
    .prefault({})
    .meta({ description: "Open connections of clients over TCP, over all workers. Linux." }),
  requestId: z
    .boolean({ error: "true or false" })
    .default(true)
    .meta({ description: "Whether backends get an X-Request-Id." }),
  admin: section({
    address: adminAddressText.prefault(DEFAULT_ADMIN),
    token: text("a text without spaces", /^[\x21-\x7e]+$/)
      .optional()
      .meta({ description: "Required when the address is not loopback." }),
    hosts: listOf(hostName, "a list of host names")
      .default([])
      .meta({ description: "Host names beside the loopback ones under which it may be reached." }),
  }).prefault({}),
  workers: z
    .union([z.literal("auto"), integer(1, 1024, workerForms)], { error: workerForms })
    .default("auto")
    .meta({
      description: "auto: as many as this process may use processors; 1 elsewhere than on Linux.",
    }),
  workerMemory: size({ minBytes: 128 * 1024 ** 2 })
    .prefault("1GiB")
    .meta({ description: "Resident memory above which a worker is replaced. Linux." }),
  watchdog: z
    .union([z.literal(false), duration({ minMs: 500 })], {
      error: `false or ${durationForms} of at least 500ms`,
    })
    .prefault("1s")
    .meta({
      description: "A worker that computes for this long without a break is replaced. Linux.",
    }),
  shutdown: section({
    delay: duration({ minMs: 0 }).prefault("0s").meta({
      description:
        "Between the signal and closing the listeners; half a second at the least while clients are connected.",
    }),
    grace: duration({ minMs: 0 })
      .prefault("30s")
      .meta({ description: "For requests in flight to finish." }),
  }).prefault({}),
  telemetry: telemetry.prefault({}),
  accessLog: accessLog
    .prefault("errors")
    .meta({ description: "One line per request: of those that went wrong, of all, or of none." }),
  $schema: z.string({ error: "a text" }).optional().meta({ description: "For editors." }),
});

/** What a config file may hold, as the schema takes it in. */
export type ConfigInput = z.input<typeof configSchema>;
/** After defaults and units. */
export type ConfigOutput = z.output<typeof configSchema>;
