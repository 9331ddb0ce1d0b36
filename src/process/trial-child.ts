import { bundleModule } from "../config/bundle.ts";
import { checkConformance } from "../strategy/conformance.ts";
import { createRehearsal, locate } from "../strategy/evaluate.ts";
import { loadPlugin, versionOf } from "../strategy/load.ts";
import type { StrategyModule } from "../strategy/module.ts";
import { measurePick } from "../strategy/pick-speed.ts";
import { makeSwitchable } from "../strategy/switchable-globals.ts";
import type { BenchResult, TrialJob, TrialStep } from "./trial.ts";

/** What a pick is measured with; longer than a rule needs it, because the numbers are shown. */
const ROUND_NS = 20e6;

/** The child's side of `trials.ts`. Runs the user's code. Throws ConfigError when it cannot be loaded. */
export async function runTrial(
  job: TrialJob,
  tell: (step: TrialStep) => void,
): Promise<BenchResult | null> {
  const module = await makeModule(job);
  // Ours, as it was: what a strategy does to it is no time of ours.
  const nowNs = Bun.nanoseconds.bind(Bun);
  // Not for a bench, whose numbers are the runtime's.
  if (job.task === "conformance") makeSwitchable();
  const plugin = await loadPlugin(module);
  const { options } = job.strategy;
  (await createRehearsal(plugin, module, options, 1)).host.dispose();
  const source = module.kind === "file" ? module.source : "built-in";
  tell({ loaded: { name: plugin.name, version: versionOf(module), source } });

  if (job.task === "bench") {
    const nsPerPick: number[] = [];
    for (const candidates of job.candidates) {
      const speed = measurePick({ plugin, options, candidates, nowNs, roundNs: ROUND_NS });
      nsPerPick.push(speed.ns);
      if (speed.fault === null) continue;
      const place = await locate(speed.fault.cause, module);
      const count = `${candidates.toLocaleString("en")} candidate${candidates === 1 ? "" : "s"}`;
      return { nsPerPick, fault: `${place}: with ${count}, ${speed.fault.message}` };
    }
    return { nsPerPick, fault: null };
  }
  const { specifier } = job;
  await checkConformance({
    plugin,
    options,
    specifier,
    nowNs,
    locate: (thrown) => locate(thrown, module),
    async onBegin(rule) {
      tell({ begins: rule });
      // A turn of the event loop, in which the message goes out: the rule may never end.
      await new Promise((resolve) => setImmediate(resolve));
    },
    onEnd: (ended) => tell({ ended }),
  });
  return null;
}

async function makeModule({ strategy, tempDir }: TrialJob): Promise<StrategyModule> {
  if (strategy.kind === "built-in") return { kind: "built-in", name: strategy.name };
  const { path, version } = await bundleModule(strategy.file, tempDir);
  return { kind: "file", source: strategy.file, path, version };
}
