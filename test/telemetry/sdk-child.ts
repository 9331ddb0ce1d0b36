/**
 * A process as a worker would be, told by lines on stdin: `request` (two attempts), `loaded`, `shutdown`.
 * Answers with JSON lines on stdout: log lines, what was sent to backends, how many modules of
 * OpenTelemetry are loaded, `{"done":true}`.
 */
import type { Logger } from "../../src/log.ts";
import { telemetryWanted } from "../../src/telemetry/wanted.ts";
import { attemptFacts, backend, requestFacts } from "../_support/observed-facts.ts";

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

const log: Logger = {
  debug() {},
  info: (message, fields) => say({ level: "info", message, ...fields }),
  warn: (message, fields) => say({ level: "warn", message, ...fields }),
  error: (message, fields) => say({ level: "error", message, ...fields }),
};

const telemetry = telemetryWanted(process.env)
  ? await import("../../src/telemetry/sdk.ts")
      .then(({ startTelemetry }) =>
        startTelemetry({ env: process.env, version: "1.2.3", workerId: 4, log }),
      )
      .catch((error: Error) => {
        say({ failed: error.name, message: error.message });
        process.exit(2);
      })
  : null;

for await (const command of console) {
  if (command === "request") {
    const request = telemetry?.observer.requestStarted(requestFacts({ target: "/v1/cart?item=7" }));
    request?.routed("web", "/v1/*");
    const sent = ["a", "b"].map((id, index) => {
      const attempt = request?.attemptStarting(
        attemptFacts({ number: index + 1, backend: backend(id) }),
      );
      attempt?.connected(0.5);
      attempt?.ended(
        id === "a"
          ? { outcome: "reset", status: null, error: "reset" }
          : { outcome: "ok", status: 200, error: null },
      );
      return attempt?.headers[0]?.[1];
    });
    request?.ended({ status: 200, error: null });
    say({ sent });
  } else if (command === "loaded") {
    const modules = Object.keys(require.cache);
    say({ loaded: modules.filter((path) => path.includes("@opentelemetry")).length });
  } else {
    await telemetry?.shutdown();
    say({ done: true });
    process.exit(0);
  }
}
