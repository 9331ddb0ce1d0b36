import type { StrategyConfig } from "../config/config.ts";
import type { ConfigFileRequest, LoadedConfigFile } from "../config/load.ts";
import { ConfigError, type Problem } from "../errors.ts";
import type { StrategyDescription, StrategyModule } from "../strategy/module.ts";
import type { ExplainJob } from "./explain-job.ts";
import type { TrialJob, TrialStep } from "./trial.ts";
import { boundProblems } from "./refusal.ts";
import { orphanFreeEnvironment, selfCommand } from "./self.ts";

/** Something that runs the user's code: done in a child process and never here. */
export type EvaluationJob =
  | ({ readonly kind: "config" } & ConfigFileRequest)
  | {
      readonly kind: "strategy";
      readonly strategy: StrategyConfig;
      /** Where a file's bundle is written to; it is imported from there later. */
      readonly tempDir: string;
      /** See `StrategyTrialOptions`. */
      readonly watchdogMs: number | null;
    }
  | TrialJob
  | ExplainJob;

export interface EvaluatedStrategy {
  readonly module: StrategyModule;
  readonly description: StrategyDescription;
  /** The file and those that it imports, absolute; none of a built-in. */
  readonly sources: readonly string[];
}

/** What the child is told. */
export interface EvaluationRequest {
  readonly job: EvaluationJob;
  /** Comes back with each reply; the user's code, which can send as well, does not get to see it. */
  readonly seal: string;
}

/** What the child answers. */
export type EvaluationReply =
  | { readonly kind: "started" }
  /** The deadline begins anew. */
  | { readonly kind: "step"; readonly step: TrialStep }
  | { readonly kind: "done"; readonly value: unknown }
  | {
      readonly kind: "refused";
      readonly problems: readonly Problem[];
      readonly file: string | null;
    }
  | { readonly kind: "broken"; readonly stack: string };

export type SealedReply = EvaluationReply & Pick<EvaluationRequest, "seal">;

export interface EvaluationOptions {
  /** For the user's code, from the moment the child has the job. Default 5000. */
  readonly deadlineMs?: number;
  /** Ends the child at once. */
  readonly signal?: AbortSignal;
}

export interface StrategyTrialOptions extends EvaluationOptions {
  /** For which a call into it may compute; default: for as long as it likes. */
  readonly watchdogMs?: number | null;
}

interface StepOptions {
  /** What a trial tells on its way. */
  readonly onStep?: (step: TrialStep) => void;
}

/** Where the user's code runs. */
const LOOPS = {
  config: "at top level",
  strategy: "at top level, in create, or in score or pick",
  trial: "in a method",
  explain: "in create, score or pick",
} as const satisfies Record<EvaluationJob["kind"], string>;

/** What was being done with it when it ended. */
const ENDS = {
  config: "loaded",
  strategy: "loaded",
  trial: "tried",
  explain: "asked",
} as const satisfies Record<EvaluationJob["kind"], string>;

/** Also of what is well formed: a forged step would keep a rule, a forged end would look like a bug of ours. */
const FORGED = "what its process answers is not from leastwise: does it use process.send?";

/** For the child's own start: on a machine that is busy, Bun may need its time. */
const startDeadlineMs = 30_000;

/**
 * Reads the config file, in a child.
 *
 * @throws {ConfigError}
 */
export async function evaluateConfigFile(
  request: ConfigFileRequest,
  options?: EvaluationOptions,
): Promise<LoadedConfigFile | null> {
  const subject = request.file ?? "the config file";
  return (await evaluate(
    { kind: "config", ...request },
    subject,
    options,
  )) as LoadedConfigFile | null;
}

/**
 * Bundles a strategy, loads it, lets it parse its options and tries it out, in a child.
 *
 * @throws {ConfigError}
 */
export async function evaluateStrategyConfig(
  strategy: StrategyConfig,
  tempDir: string,
  options?: StrategyTrialOptions,
): Promise<EvaluatedStrategy> {
  const subject = strategy.kind === "file" ? strategy.file : strategy.name;
  return (await evaluate(
    { kind: "strategy", strategy, tempDir, watchdogMs: options?.watchdogMs ?? null },
    subject,
    options,
  )) as EvaluatedStrategy;
}

/** For jobs of other files; see `evaluateStrategyConfig`. One child per job, gone when this returns: a loop, a leak or an open handle in it goes with it. */
export function evaluate(
  job: EvaluationJob,
  subject: string,
  { deadlineMs = 5000, signal, onStep }: EvaluationOptions & StepOptions = {},
): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  let isOver = false;
  const fail = (error: Error): void => {
    isOver = true;
    reject(error);
  };
  const refuse = (message: string): void => fail(new ConfigError([{ path: subject, message }]));
  const arm = (ms: number, message: string): void => {
    clearTimeout(timer);
    timer = setTimeout(() => refuse(message), ms);
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const seal = crypto.randomUUID();

  const child = Bun.spawn(selfCommand(["__evaluate"]), {
    env: orphanFreeEnvironment(),
    // What the user's code prints is for people; our stdout is for data.
    stdio: ["ignore", 2, 2],
    serialization: "advanced",
    ipc(message: unknown) {
      // What came behind the end: a step of it would start the clock again.
      if (isOver || !isReply(message)) return;
      if (message.seal !== seal) refuse(FORGED);
      else if (message.kind === "started" || message.kind === "step") {
        if (message.kind === "step") onStep?.(message.step);
        const seconds = deadlineMs / 1000;
        arm(
          deadlineMs,
          `did not finish within ${seconds} s: is there an endless loop ${LOOPS[job.kind]}?`,
        );
      } else if (message.kind === "done") {
        isOver = true;
        resolve(message.value);
      } else if (message.kind === "refused") {
        const { problems, file } = message;
        fail(new ConfigError(boundProblems(problems), { file }));
      } else fail(new Error(`the evaluation of ${subject} broke:\n${message.stack}`));
    },
    onExit(_child, code, signal) {
      const how = signal === null ? `with exit code ${code}` : `by signal ${signal}`;
      // A reply sent just before the end may still be on its way.
      setTimeout(() => refuse(`ended its process ${how} while it was ${ENDS[job.kind]}`), 50);
    },
  });
  // A signal may end this process first, and an endless loop would not notice. Before the temporary
  // folder is removed, so that the child does not write into it afterwards.
  const end = (): void => child.kill("SIGKILL");
  const abort = (): void => refuse("was called off");
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  process.prependListener("exit", end);
  arm(startDeadlineMs, `could not be evaluated: the process for it did not start within 30 s`);
  try {
    child.send({ job, seal } satisfies EvaluationRequest);
  } catch (error) {
    // What no other process can be given, in the strategy's options.
    fail(new Error(`${subject} could not be evaluated`, { cause: error }));
  }
  return promise.finally(() => {
    clearTimeout(timer);
    process.off("exit", end);
    signal?.removeEventListener("abort", abort);
    end();
  });
}

function isReply(message: unknown): message is SealedReply {
  if (typeof message !== "object" || message === null || !("kind" in message)) return false;
  return ["started", "step", "done", "refused", "broken"].includes(String(message.kind));
}
