import type { ReloadReport } from "../admin/facts.ts";
import { ConfigError, type Problem, RuntimeError } from "../errors.ts";
import type { Logger } from "../log.ts";

export interface ReloadsOptions {
  /** Loads everything anew and brings it into force, or throws with the old still in force. Resolves with notes for people. */
  readonly reload: () => Promise<readonly string[]>;
  /** Unix time in milliseconds. */
  readonly wallClock: () => number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly log: Logger;
}

interface Waiting {
  trigger: string;
  readonly promise: Promise<ReloadReport>;
  readonly resolve: (report: Promise<ReloadReport>) => void;
}

/**
 * One reload at a time. Those asked for meanwhile are one together, which begins when the running one
 * has ended: it finds everything as the last who asked has left it.
 */
export class Reloads {
  readonly #options: ReloadsOptions;
  #running: Promise<ReloadReport> | null = null;
  #waiting: Waiting | null = null;
  #stopped = false;
  #count = 0;
  #last: ReloadReport | null = null;
  #loadedAtMs: number;

  constructor(options: ReloadsOptions) {
    this.#options = options;
    this.#loadedAtMs = options.wallClock();
  }

  /** Reloads that were made, those that failed included. */
  get count(): number {
    return this.#count;
  }

  get last(): ReloadReport | null {
    return this.#last;
  }

  /** When what is in force was loaded, Unix time. */
  get loadedAtMs(): number {
    return this.#loadedAtMs;
  }

  /** Never rejects. `trigger`: who asks, for people. */
  request(trigger: string): Promise<ReloadReport> {
    if (this.#running === null) return this.#start(trigger);
    this.#waiting ??= { trigger, ...Promise.withResolvers<ReloadReport>() };
    this.#waiting.trigger = trigger;
    return this.#waiting.promise;
  }

  /** Resolves when none runs any more; what is asked for from now on is refused. */
  async stop(): Promise<void> {
    this.#stopped = true;
    while (this.#running !== null) await this.#running;
  }

  #start(trigger: string): Promise<ReloadReport> {
    this.#running = this.#run(trigger).then((report) => {
      const waiting = this.#waiting;
      this.#running = null;
      this.#waiting = null;
      // In the same tick: nobody may come in between and start a second one.
      waiting?.resolve(this.#start(waiting.trigger));
      return report;
    });
    return this.#running;
  }

  async #run(trigger: string): Promise<ReloadReport> {
    const { reload, wallClock, now, log } = this.#options;
    const startedAt = wallClock();
    const startedAtMs = now();
    const end = (problems: readonly Problem[], notes: readonly string[]): ReloadReport => ({
      at: new Date(startedAt).toISOString(),
      tookMs: Math.round(now() - startedAtMs),
      trigger,
      ok: problems.length === 0,
      problems,
      notes,
    });
    if (this.#stopped) return end([{ path: "leastwise", message: "is being stopped" }], []);
    let report: ReloadReport;
    try {
      const notes = await reload();
      this.#loadedAtMs = wallClock();
      report = end([], notes);
      log.info("configuration reloaded", { trigger, tookMs: report.tookMs });
      for (const note of notes) log.info(note);
    } catch (thrown) {
      report = end(problemsOf(thrown), []);
      const reasons = report.problems.map(({ path, message }) => `${path}: ${message}`);
      log.error("reload refused, the configuration before goes on", {
        trigger,
        reason: reasons.join("\n"),
      });
    }
    this.#count++;
    this.#last = report;
    return report;
  }
}

function problemsOf(thrown: unknown): readonly Problem[] {
  if (thrown instanceof ConfigError) {
    // The user's code can have its process refuse without a word.
    if (thrown.problems.length > 0) return thrown.problems;
    return [{ path: "leastwise", message: "refused without a reason" }];
  }
  if (thrown instanceof RuntimeError) return [{ path: "leastwise", message: thrown.message }];
  const stack = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return [{ path: "a bug of leastwise, not of your configuration", message: stack }];
}
