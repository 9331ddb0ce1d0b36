import type { Schedule } from "../../health/prober.ts";
import type { LogFields, Logger } from "../../log.ts";
import type { StrategyCall, WorkerPulse } from "../../pool/worker-pulse.ts";
import type { ShadowFigures } from "../../strategy/shadow/figures.ts";
import type { ChildExit } from "../child-process.ts";
import type { HangCause, WatchedWorker } from "../watchdog.ts";
import { readFromShadow, type ShadowSetup, type ToShadow } from "./messages.ts";
import type { ShadowProcess, SpawnShadow } from "./shadow-process.ts";

export interface ShadowOptions {
  /** What a process of it is told at its start, as things are then. */
  readonly setup: () => ShadowSetup;
  /** Whose pulse it has. */
  readonly slot: number;
  readonly pulse: WorkerPulse;
  /** Of this program. */
  readonly version: string;
  readonly spawn: SpawnShadow;
  readonly schedule: Schedule;
  readonly now: () => number;
  readonly log: Logger;
  /** Names it in the log. */
  readonly label: () => LogFields;
  /** Of its pool, as they are now. */
  readonly backends: () => readonly { readonly id: string }[];
  /** Its state is another one. */
  readonly onChange: () => void;
  /** What it has told last will not be told again. */
  readonly onFigures: (figures: ShadowFigures) => void;
}

export type ShadowState = "starting" | "running" | "restarting" | "stopped";

const START_TIMEOUT_MS = 30_000;
const REPORT_TIMEOUT_MS = 500;
/** A process that ran for this long and dies is replaced as if it were the first. */
const STABLE_MS = 60_000;
const BACKOFF_MS = [100, 500, 1000, 5000, 30_000];

/** What others do to a process; whatever the strategy does, it does not look like this. */
const FROM_OUTSIDE = new Set(["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"]);

/**
 * One shadow as the master sees it. A process that was ended from outside is replaced; one that ended
 * of what its strategy did is not, because the next one would do the same.
 */
export class Shadow {
  readonly #options: ShadowOptions;
  #process: ShadowProcess | null = null;
  #state: ShadowState = "starting";
  #reason: string | null = null;
  #restarts = 0;
  #quickDeaths = 0;
  #startedAtMs = 0;
  #hang: HangCause | null = null;
  /** Its process has been told how things are, and waits for news. */
  #wasSetUp = false;
  #last: ShadowFigures | null = null;
  #watched: WatchedWorker | null = null;
  #cancelStart = (): void => {};
  #cancelRestart = (): void => {};
  #nextReport = 1;
  readonly #reports = new Map<number, (figures: ShadowFigures | null) => void>();

  /** Starts nothing yet. */
  constructor(options: ShadowOptions) {
    this.#options = options;
  }

  get state(): ShadowState {
    return this.#state;
  }

  /** Why it has stopped, or what its process ended of; null while nothing is wrong. */
  get reason(): string | null {
    return this.#reason;
  }

  get restarts(): number {
    return this.#restarts;
  }

  /** For the watchdog; null while there is no process. */
  get watched(): WatchedWorker | null {
    return this.#watched;
  }

  start(): void {
    const { slot, spawn, schedule, now, pulse, log, label } = this.#options;
    pulse.clear();
    this.#hang = null;
    this.#startedAtMs = now();
    let child: ShadowProcess;
    try {
      child = spawn({
        onMessage: (message) => this.#receive(child, message),
        onExit: (exit) => this.#ended(child, exit),
      });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.warn("no process can be started for a shadow, trying again", { ...label(), reason });
      this.#restartLater(`no process can be started: ${reason}`);
      return;
    }
    this.#process = child;
    this.#watched = { index: slot, pid: child.pid, column: slot, kill: () => child.kill() };
    this.#cancelStart = schedule(START_TIMEOUT_MS, () => child.kill());
  }

  tell(message: Exclude<ToShadow, { type: "setup" | "report" }>): void {
    if (this.#wasSetUp) this.#send(message);
  }

  /** Null when nothing is known. A process that is busy is not waited for: its last figures are told. */
  figures(): Promise<ShadowFigures | null> {
    if (this.#state !== "running") return Promise.resolve(this.#last);
    const id = this.#nextReport++;
    return new Promise((resolve) => {
      const settle = (figures: ShadowFigures | null): void => {
        cancel();
        this.#reports.delete(id);
        resolve(figures ?? this.#last);
      };
      const cancel = this.#options.schedule(REPORT_TIMEOUT_MS, () => settle(null));
      this.#reports.set(id, settle);
      this.#send({ type: "report", id });
    });
  }

  /** The watchdog ends its process. */
  hanging(cause: HangCause): void {
    this.#hang = cause;
    this.#process?.kill();
  }

  /** For good, and at once. */
  end(): void {
    this.#cancelRestart();
    this.#letGo();
    this.#retire();
  }

  #receive(child: ShadowProcess, raw: unknown): void {
    if (child !== this.#process) return;
    const message = readFromShadow(raw, this.#options.backends());
    if (message === null) return;
    switch (message.type) {
      case "started": {
        // Once: a second setup would make it forget everything.
        if (this.#wasSetUp) return;
        const { version } = this.#options;
        if (message.version !== version) {
          return this.#stop(
            `its process is leastwise ${message.version}, its master ${version}: the program was replaced while it ran`,
          );
        }
        this.#wasSetUp = true;
        this.#send({ type: "setup", setup: this.#options.setup() });
        break;
      }
      case "running":
        this.#cancelStart();
        this.#reason = null;
        this.#become("running");
        break;
      case "stopped":
        if (message.figures !== null) this.#last = message.figures;
        this.#stop(message.reason);
        break;
      case "report":
        this.#last = message.figures;
        this.#reports.get(message.id)?.(message.figures);
        break;
    }
  }

  #ended(child: ShadowProcess, exit: ChildExit): void {
    if (child !== this.#process) return;
    this.#process = null;
    const { pulse, log, label } = this.#options;
    const verdict = verdictOf(this.#hang, exit, pulse.call?.call ?? null);
    if (verdict !== null) return this.#stop(verdict);
    const reason = `its process was ended by ${exit.signal ?? `exit code ${exit.code}`}`;
    log.warn("a shadow is replaced, its figures begin anew", { ...label(), reason });
    this.#letGo();
    this.#retire();
    this.#restartLater(reason);
  }

  #restartLater(reason: string): void {
    const { schedule, now } = this.#options;
    const quick = now() - this.#startedAtMs < STABLE_MS;
    this.#quickDeaths = quick ? this.#quickDeaths + 1 : 1;
    const waitMs = BACKOFF_MS[Math.min(this.#quickDeaths, BACKOFF_MS.length) - 1] ?? 0;
    this.#reason = reason;
    this.#become("restarting");
    this.#cancelRestart = schedule(waitMs, () => {
      this.#restarts++;
      this.start();
    });
  }

  #stop(reason: string): void {
    const { log, label } = this.#options;
    this.#letGo();
    this.#reason = reason;
    log.warn("a shadow has stopped until another version of it is loaded", {
      ...label(),
      reason,
    });
    this.#become("stopped");
  }

  /** Whatever its process still says or does is nobody's business. */
  #letGo(): void {
    const child = this.#process;
    this.#process = null;
    this.#wasSetUp = false;
    this.#watched = null;
    this.#cancelStart();
    for (const settle of this.#reports.values()) settle(null);
    child?.kill();
  }

  #retire(): void {
    if (this.#last !== null) this.#options.onFigures(this.#last);
    this.#last = null;
  }

  #become(state: ShadowState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#options.onChange();
  }

  #send(message: ToShadow): void {
    try {
      this.#process?.send(message);
    } catch {
      // The channel closes a moment before the exit is seen.
    }
  }
}

/** What the strategy did; null when it was not the strategy. */
function verdictOf(
  hang: HangCause | null,
  { code, signal }: ChildExit,
  call: StrategyCall | null,
): string | null {
  const where = call === null ? "outside of every call" : `in ${call}`;
  if (hang !== null) return `${WORDS[hang.kind]} ${where}: it ${hang.text}`;
  if (signal === null) return `exited ${where}, with exit code ${code}`;
  return FROM_OUTSIDE.has(signal) ? null : `died ${where}, by ${signal}`;
}

const WORDS = {
  computes: "looped",
  sleeps: "slept",
  memory: "leaked",
  silent: "hung",
} as const satisfies Record<HangCause["kind"], string>;
