import { ConfigError, type Problem } from "../errors.ts";
import type { StrategyPlugin } from "../plugin.ts";
import { type CallMark, NO_CALL_MARK } from "../pool/worker-pulse.ts";
import { CallTimes } from "./call-times.ts";
import { loadPlugin, versionOf } from "./load.ts";
import type { StrategyDescription, StrategyModule } from "./module.ts";
import { Rehearsal } from "./rehearsal.ts";
import { locateThrown } from "./source-position.ts";

/** How long a call into a strategy may compute. */
export interface ComputeLimit {
  readonly limitMs: number;
  /** What this thread has computed. */
  readonly cpuMs: () => number;
}

/** As often as a worker beats. */
const BEAT_MS = 100;

/** Sizes of the pools that a strategy is tried with. */
const SIZES = [1, 2, 10] as const;

/**
 * Loads a strategy, lets it parse its options, and tries it with made-up backends. Runs the user's
 * code: belongs in a child process with a deadline. Throws ConfigError with everything that is
 * wrong; the paths are the user's files, with line and column where they are known.
 */
export async function evaluateStrategy(
  module: StrategyModule,
  options: unknown,
  limit: ComputeLimit | null = null,
): Promise<StrategyDescription> {
  const times = new CallTimes(limit?.cpuMs ?? (() => 0));
  const plugin = await timedImport(module, times);
  refuseSlow(times, module, limit);
  for (const size of SIZES) {
    await rehearse(plugin, module, options, size, times);
    refuseSlow(times, module, limit);
  }
  return {
    name: plugin.name,
    version: versionOf(module),
    source: module.kind === "file" ? module.source : "built-in",
  };
}

/** What is computed between two beats: a top level may wait now and then, and a worker beats meanwhile. */
async function timedImport(
  module: StrategyModule,
  times: CallTimes,
): Promise<StrategyPlugin<unknown>> {
  times.enter("import");
  const beat = setInterval(() => {
    times.leave();
    times.enter("import");
  }, BEAT_MS);
  try {
    return await loadPlugin(module);
  } finally {
    clearInterval(beat);
    times.leave();
  }
}

/**
 * A strategy at work with equal made-up backends. Throws ConfigError when it rejects its options or
 * makes no strategy; the path is the place in the user's file.
 */
export async function createRehearsal(
  plugin: StrategyPlugin<unknown>,
  module: StrategyModule,
  options: unknown,
  size: number,
  mark: CallMark = NO_CALL_MARK,
): Promise<Rehearsal> {
  try {
    const weights = Array.from({ length: size }, () => 1);
    return new Rehearsal({ plugin, options, weights, mark });
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    const place = await locate(thrown.cause, module);
    throw new ConfigError(
      thrown.problems.map(({ path, message }) => {
        // A built-in has no file to look into: its options are the place.
        const isOption = module.kind === "built-in" && path.endsWith(".options");
        return { path: isOption ? `${place}.options` : place, message };
      }),
      { cause: thrown.cause },
    );
  }
}

/** Stops at the first size that shows a fault: a larger one would only show it again. */
async function rehearse(
  plugin: StrategyPlugin<unknown>,
  module: StrategyModule,
  options: unknown,
  size: number,
  mark: CallMark,
): Promise<void> {
  const rehearsal = await createRehearsal(plugin, module, options, size, mark);
  rehearsal.run(10 * size);
  rehearsal.host.takeSnapshot();
  rehearsal.host.dispose();
  // Hooks may be async functions; what those throw arrives in a later microtask.
  await new Promise((resolve) => setTimeout(resolve, 0));
  const problems = await faultProblems(rehearsal, module, size);
  if (problems.length > 0) throw new ConfigError(problems);
}

/** In a worker, the watchdog would take it for a loop. */
function refuseSlow(times: CallTimes, module: StrategyModule, limit: ComputeLimit | null): void {
  const { longest } = times;
  if (limit === null || longest === null || longest.ms < limit.limitMs) return;
  const what = longest.call === "import" ? "its top level" : longest.call;
  const path = module.kind === "file" ? module.source : module.name;
  const message =
    `${what} computes for ${Math.round(longest.ms)} ms, in which a worker does nothing else; ` +
    `watchdog allows ${limit.limitMs} ms`;
  throw new ConfigError([{ path, message }]);
}

/** One problem per method: the same mistake shows with every request. */
async function faultProblems(
  rehearsal: Rehearsal,
  module: StrategyModule,
  size: number,
): Promise<Problem[]> {
  const problems = new Map<string, Problem>();
  for (const fault of rehearsal.faults) {
    if (problems.has(fault.method)) continue;
    problems.set(fault.method, {
      path: await locate(fault.cause, module),
      message: `in a trial with ${size} made-up backend${size === 1 ? "" : "s"}, ${fault.message}`,
    });
  }
  return [...problems.values()];
}

/** The place in the user's file, or the file. */
export async function locate(thrown: unknown, module: StrategyModule): Promise<string> {
  return module.kind === "file" ? locateThrown(thrown, module) : module.name;
}
