import type {
  BackendFacts,
  ExplainAnswer,
  ExplainedPick,
  ExplainQuestion,
  Modifications,
} from "../admin/explanation.ts";
import type { PoolConfig } from "../config/config.ts";
import { didYouMean } from "../config/suggest.ts";
import { RuntimeError } from "../errors.ts";
import { createRouter } from "../proxy/router.ts";
import type { InstanceSnapshot } from "./answers.ts";
import { evaluate } from "./evaluation.ts";
import { deadlineMs, type ForkedInstance, type ForkTask } from "./explain-job.ts";
import { readExplained } from "./explained.ts";
import type { Provisioned } from "./provision.ts";
import { Turns } from "./turns.ts";
import type { WorkerHandle } from "./worker-handle.ts";

export interface ExplainerOptions {
  /** What is in force. */
  readonly running: () => Provisioned;
  readonly factsOf: (pool: string) => readonly BackendFacts[];
  /** The client's session by these cookies: the backend's id, or null. */
  readonly sessionOf: (
    pool: PoolConfig,
    facts: readonly BackendFacts[],
    cookies: string | null,
  ) => string | null;
  readonly workers: () => readonly Pick<WorkerHandle, "ask" | "index">[];
  /** Puts the bundles where a child looks for them. */
  readonly beforeFork: () => void;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
}

interface Instance {
  readonly worker: number;
  readonly snapshot: InstanceSnapshot;
}

/**
 * Who would get a request. The running instances are asked for nothing but their snapshots, as at a
 * reload; copies of them decide, in a child that is gone afterwards, whatever they do there.
 */
export class Explainer {
  readonly #options: ExplainerOptions;
  /** One question at a time: each is a process. */
  readonly #turns = new Turns();

  constructor(options: ExplainerOptions) {
    this.#options = options;
  }

  /** Throws RuntimeError or ConfigError when there is no answer. */
  async explain(question: ExplainQuestion): Promise<ExplainAnswer> {
    let answer: ExplainAnswer | null = null;
    await this.#turns.take(async () => {
      answer = await this.#explainAlone(question);
    });
    if (answer === null) throw new Error("the question was not answered");
    return answer;
  }

  async #explainAlone(question: ExplainQuestion): Promise<ExplainAnswer> {
    const { running, factsOf, sessionOf } = this.#options;
    const { config, strategies } = running();
    const { request, modifications } = question;
    const routed =
      question.pool === null
        ? createRouter(config)(request.host, request.path)
        : { pool: question.pool, route: null };
    const nowhere = { request, route: null, pool: null, before: null, after: null, facts: null };
    if (routed === null) return nowhere;
    const pool = config.pools.find(({ name }) => name === routed.pool);
    const evaluated = strategies[routed.pool];
    if (pool === undefined || evaluated === undefined) {
      const names = config.pools.map(({ name }) => name);
      throw unknown("pool", routed.pool, names);
    }
    const facts = factsOf(pool.name);
    refuseUnknown(modifications, facts, pool.name);
    const session = sessionOf(pool, facts, request.headers["cookie"] ?? null);
    const instances = await this.#instances(pool.name);
    const [{ snapshot: first }] = instances as [Instance];
    const task = {
      task: "fork",
      pool,
      facts,
      request,
      session,
      instances: instances.map(({ worker, snapshot }): ForkedInstance => ({ worker, ...snapshot })),
    } as const;
    this.#options.beforeFork();
    const ask = (changed: Modifications | null): Promise<ExplainedPick> =>
      this.#ask({ ...task, modifications: changed }, pool.strategy, evaluated);
    const before = await ask(null);
    const isChanged =
      modifications.drain.length > 0 || Object.keys(modifications.weights).length > 0;
    const { options } = pool.strategy;
    return {
      request,
      route: routed.route,
      pool: pool.name,
      before,
      after: isChanged ? await ask(modifications) : null,
      facts: question.facts
        ? {
            backends: facts,
            strategy: evaluated.description,
            ...(options === undefined ? {} : { options }),
            snapshot: first.bytes === null ? null : Buffer.from(first.bytes).toString("base64"),
            nowMs: first.nowMs,
            session,
          }
        : null,
    };
  }

  async #ask(
    task: ForkTask,
    strategy: Provisioned["config"]["pools"][number]["strategy"],
    { module, description }: Provisioned["strategies"][string],
  ): Promise<ExplainedPick> {
    const subject = strategy.kind === "file" ? strategy.file : strategy.name;
    const job = { kind: "explain", strategy, module, description, ...task } as const;
    const { signal } = this.#options;
    const limits = { signal, deadlineMs: deadlineMs(task.facts.length) };
    return readExplained(await evaluate(job, subject, limits), subject);
  }

  /** At least one; those that do not answer in time are left out. */
  async #instances(pool: string): Promise<readonly Instance[]> {
    const workers = this.#options.workers();
    const answers = await Promise.all(
      workers.map(async (worker) => {
        const answer = await worker.ask({ about: "instance", pool });
        return answer?.about === "instance" && answer.instance !== null
          ? [{ worker: worker.index, snapshot: answer.instance }]
          : [];
      }),
    );
    const instances = answers.flat();
    if (instances.length === 0)
      throw new RuntimeError(`no worker tells of its pool ${pool} in time`);
    const large = instances.find(({ snapshot }) => snapshot.tooLarge > 0);
    if (large !== undefined) {
      const { name, tooLarge } = large.snapshot;
      throw new RuntimeError(
        `the snapshot of ${name} is too large to be copied, ${tooLarge} bytes`,
      );
    }
    return instances;
  }
}

function refuseUnknown(
  { drain, weights }: Modifications,
  facts: readonly BackendFacts[],
  pool: string,
): void {
  const ids = facts.map(({ config }) => config.id);
  for (const id of [...drain, ...Object.keys(weights)]) {
    if (!ids.includes(id)) throw unknown("backend", id, ids, ` in pool ${pool}`);
  }
}

function unknown(
  what: "pool" | "backend",
  name: string,
  names: readonly string[],
  where = "",
): RuntimeError {
  const hint = didYouMean(name, names);
  return new RuntimeError(`no ${what} ${name}${where}, there is ${names.join(", ")}${hint}`);
}
