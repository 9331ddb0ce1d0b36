import { RuntimeError } from "../../errors.ts";
import type { RowPlan } from "./demo-report.ts";
import { formatMs } from "./format.ts";
import type { GeneratorSummary } from "./summary.ts";

/** The load generator was late, which a second try may mend. */
export class GeneratorLagError extends RuntimeError {}

/**
 * Figures of a generator that did not do its work would be about this machine and not about the
 * strategy.
 *
 * @throws {GeneratorLagError} when it was late.
 * @throws {RuntimeError} when it could not send something.
 */
export function assertKeptUp(generator: GeneratorSummary, maxLagMs: number, row: RowPlan): void {
  const { notSent, lagP99Ms } = generator;
  const notReported = `Nothing is reported: the figures of ${row.label} would be about this machine.`;
  if (notSent > 0) {
    throw new RuntimeError(
      `the load generator could not send ${notSent} requests for want of connections, files or ports. ` +
        `${notReported} Raise the limit of open files (ulimit -n) and try again.`,
    );
  }
  if (lagP99Ms > maxLagMs) {
    throw new GeneratorLagError(
      `the load generator fell behind: 1 % of the requests went out more than ${formatMs(lagP99Ms)} ` +
        `late, allowed are ${formatMs(maxLagMs)}. ${notReported} Stop other programs and try again, ` +
        "or allow more with --max-lag.",
    );
  }
}
