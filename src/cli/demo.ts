import { type ArgsDef, defineCommand } from "citty";
import { readArguments } from "./arguments.ts";
import { orAborted } from "./demo/abort.ts";
import { checkStrategies } from "./demo/check-strategies.ts";
import { parseDemoFlags } from "./demo/demo-flags.ts";
import { type DemoReport, planRows } from "./demo/demo-report.ts";
import { interruptible } from "./demo/interrupt.ts";
import { createProgressDisplay } from "./demo/progress.ts";
import { runDemo } from "./demo/run-demo.ts";
import { createLaunchScenario } from "./demo/scenario.ts";
import { terminalStyle } from "./demo/terminal.ts";
import { renderText } from "./demo/text-report.ts";
import { withTempDir } from "./temp-dir.ts";

const demoArgs = {
  duration: {
    type: "string",
    default: "20s",
    valueHint: "TIME",
    description: "Length of the spike, for each strategy",
  },
  strategy: {
    type: "string",
    valueHint: "NAME|FILE",
    description: "A strategy to run instead of round-robin and least-connections; may be repeated",
  },
  seed: {
    type: "string",
    default: "1",
    valueHint: "N",
    description: "Another seed gives other arrival and service times",
  },
  json: { type: "boolean", description: "Print the figures for programs" },
  "warm-up": {
    type: "string",
    default: "4s",
    valueHint: "TIME",
    description: "Length of the normal load before the spike",
  },
  "max-lag": {
    type: "string",
    default: "50ms",
    valueHint: "TIME",
    description: "Report nothing when the load generator was later than this (p99)",
  },
} as const satisfies ArgsDef;

export default defineCommand({
  meta: {
    name: "demo",
    description: "Show what the strategy does in a launch spike, with real traffic on this machine",
  },
  args: demoArgs,
  async run({ args, rawArgs }) {
    const flags = parseDemoFlags(args);
    const strategies = readArguments(rawArgs, demoArgs, ["strategy"]).values.get("strategy") ?? [];
    const display = createProgressDisplay(
      (text) => process.stderr.write(text),
      terminalStyle(process.stderr, process.env),
    );
    await interruptible((signal) =>
      withTempDir(async (folder, handOver) => {
        handOver();
        await orAborted(checkStrategies(strategies, folder), signal);
        let report: DemoReport;
        try {
          report = await runDemo({
            scenario: createLaunchScenario(flags),
            rows: planRows(strategies),
            folder,
            maxLagMs: flags.maxLagMs,
            signal,
            onProgress: (progress) => display.update(progress),
            onRepeat: () =>
              display.note("the load generator fell behind; this run is done again, once"),
          });
        } finally {
          display.clear();
        }
        process.stdout.write(
          args.json
            ? `${JSON.stringify(report, null, 2)}\n`
            : renderText(report, terminalStyle(process.stdout, process.env)),
        );
      }),
    );
  },
});
