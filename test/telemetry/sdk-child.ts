/**
 * A process as a worker would be, told by lines on stdin: `request` (two attempts),
 * `flood` (20,000 of them), `flood long` (heads as long as they may be, no two alike), `memory`,
 * `loaded`, `shutdown`.
 * Answers with JSON lines on stdout: log lines, what was sent to backends, how many modules of
 * OpenTelemetry are loaded, the size of the heap after a collection, `{"done":true}`.
 */
import { heapStats } from "bun:jsc";
import type { Logger } from "../../src/log.ts";
import type { Decision } from "../../src/proxy/observer.ts";
import { describeTarget } from "../../src/telemetry/export-targets.ts";
import { OutageLog } from "../../src/telemetry/outage-log.ts";
import { readExportTls } from "../../src/telemetry/tls-files.ts";
import { service, telemetryConfig } from "../_support/telemetry-config.ts";
import { attemptFacts, backend, requestEnd, requestFacts } from "../_support/observed-facts.ts";

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

const log: Logger = {
  debug() {},
  info: (message, fields) => say({ level: "info", message, ...fields }),
  warn: (message, fields) => say({ level: "warn", message, ...fields }),
  error: (message, fields) => say({ level: "error", message, ...fields }),
};

const config = telemetryConfig({}, process.env as Record<string, string>);
const outages = new OutageLog(log, {
  traces: describeTarget(config, "traces"),
  metrics: describeTarget(config, "metrics"),
});
const { traces } = config;
const telemetry =
  traces === null
    ? null
    : (await import("../../src/telemetry/sdk.ts")).startTracing(
        {
          config,
          service,
          tls: readExportTls(config),
          log,
          report: (report) => outages.receive(0, report),
        },
        traces,
      );

const observer = telemetry?.createObserver([]);

/** A pool of ten, as wide as most are. */
const DECISION: Decision = {
  candidates: Array.from({ length: 8 }, (_, index) => ({
    id: `10.0.0.${index}:3000`,
    inFlight: index,
    score: index / 2,
  })),
  excluded: [
    { id: "10.0.0.8:3000", reason: "down" },
    { id: "10.0.0.9:3000", reason: "tried" },
  ],
  tie: false,
  ejected: 0,
  failOpen: false,
};

/** Together the longest head that is taken. */
const LONG_TARGET = "x".repeat(14_000);
const LONG_AGENT = "y".repeat(1900);

for await (const command of console) {
  if (command === "request") say({ sent: serve() });
  else if (command === "flood" || command === "flood long") {
    const long = command === "flood long";
    for (let count = 1; count <= (long ? 1000 : 20_000); count++) {
      if (long) serve(DECISION, `/${count}?${LONG_TARGET}`, `${count}${LONG_AGENT}`);
      else serve(DECISION);
      // Exports go on meanwhile, as in a server.
      if (count % 100 === 0) await Bun.sleep(0);
    }
    say({ flooded: true });
  } else if (command === "memory") {
    Bun.gc(true);
    say({ heapBytes: heapStats().heapSize });
  } else if (command === "loaded") {
    const modules = Object.keys(require.cache);
    say({ loaded: modules.filter((path) => path.includes("@opentelemetry")).length });
  } else {
    await telemetry?.shutdown();
    say({ done: true });
    process.exit(0);
  }
}

/** The fields that the backends got. */
function serve(
  decision: Decision | null = null,
  target = "/v1/cart?item=7",
  userAgent = "curl/8.5.0",
): (string | undefined)[] {
  const headers = { "user-agent": userAgent };
  const request = observer?.requestStarted(
    requestFacts({ target, headers, startedAt: performance.now() }),
  );
  request?.routed("web", "/v1/*");
  const sent = ["a", "b"].map((id, index) => {
    const attempt = request?.attemptStarting(
      attemptFacts({
        number: index + 1,
        backend: backend(id),
        target,
        decision: request.wantsDecision ? decision : null,
      }),
    );
    attempt?.connected(0.5);
    attempt?.ended(
      id === "a"
        ? { outcome: "reset", status: null, error: "reset" }
        : { outcome: "ok", status: 200, error: null },
    );
    return attempt?.headers[0]?.[1];
  });
  request?.ended(requestEnd({ status: 200, error: null }));
  return sent;
}
