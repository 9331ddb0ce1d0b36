import { deserialize } from "node:v8";
import type { ExplainedPick } from "../admin/explanation.ts";
import type { Placed } from "../balance/placement.ts";
import type { StrategyPlugin } from "../plugin.ts";
import { FakeBackend } from "../strategy/fake-backend.ts";
import { fakeRequest } from "../strategy/fake-request.ts";
import { jsonLoss } from "../strategy/json-loss.ts";
import { loadPlugin } from "../strategy/load.ts";
import { Rehearsal } from "../strategy/rehearsal.ts";
import { createClock } from "./clock.ts";
import { shownScore } from "./decision-log.ts";
import type { ExplainJob, ForkedInstance, ForkTask, Replayed, ReplayTask } from "./explain-job.ts";
import { StrategyFork } from "./strategy-fork.ts";
import { exclusions, explainWhy, REFUSED } from "./why.ts";

/** Forks with different randomness; of a strategy that they agree on, chance decides nothing. */
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8] as const;
const PICKS = 1000;

/** The child's side of `explainer.ts`. Runs the user's code. Throws ConfigError when there is no instance. */
export async function runExplanation(job: ExplainJob): Promise<ExplainedPick | Replayed> {
  const plugin = await loadPlugin(job.module);
  return job.task === "fork" ? explainFork(job, plugin) : replay(job, plugin);
}

function explainFork(job: ExplainJob & ForkTask, plugin: StrategyPlugin<unknown>): ExplainedPick {
  const [instance, ...others] = job.instances;
  if (instance === undefined) throw new Error("there is no instance to fork");
  const clock = createClock();
  const fork = (of: ForkedInstance, seed: number): StrategyFork => {
    const startedAt = clock();
    return new StrategyFork({
      task: job,
      plugin,
      version: job.description.version,
      options: job.strategy.options,
      quarantined: of.quarantined,
      seed,
      now: () => of.nowMs + clock() - startedAt,
      previous: of.bytes === null ? null : { name: of.name, snapshot: deserialize(of.bytes) },
    });
  };
  const forks = SEEDS.map((seed) => fork(instance, seed));
  const placements = forks.map((each) => each.place(true));
  const [first] = forks as [StrategyFork];
  const [placed] = placements as [Placed];
  const ids = placements.map(idOf);
  const byChance = forks.some(({ usedRandom }) => usedRandom) || new Set(ids).size > 1;
  const shares = byChance ? sharesOf(first) : null;
  const chosen = shares === null ? (ids[0] ?? null) : likeliest(shares);
  const otherWorkers = others
    .map((each) => ({
      worker: each.worker ?? 0,
      chosen: idOf(fork(each, 1).place(false)),
      quarantined: each.quarantined,
    }))
    .filter((each) => {
      if (each.quarantined !== instance.quarantined) return true;
      // What chance decides says nothing about what an instance knows.
      return !byChance && each.chosen !== chosen;
    });
  const decision = typeof placed === "string" ? null : placed.decision;
  const fallback = typeof placed !== "string" && placed.fallback;
  const backends = new Map(first.pool.backends.map((each) => [each.id, each]));
  const hasScores = decision?.candidates.some(({ score }) => score !== null) ?? false;
  const explained = {
    strategy: job.description,
    chosen,
    nobody: chosen !== null ? null : typeof placed === "string" ? placed : "refused",
    decidedBy: decidedBy(placed, hasScores),
    fault: fallback ? (first.faults.at(-1) ?? null) : null,
    tie: decision?.tie ?? false,
    failOpen: decision?.failOpen ?? false,
    candidates: (decision?.candidates ?? []).map(({ id, inFlight, score }) => ({
      id,
      inFlight,
      weight: backends.get(id)?.weight ?? 1,
      score: shownScore(score),
    })),
    excluded: exclusions(first.pool, decision).map(({ id, reason }) => ({
      id,
      reason,
      inFlight: backends.get(id)?.inFlight ?? 0,
      weight: backends.get(id)?.weight ?? 1,
    })),
    shares,
    state: instance.bytes === null || instance.name !== plugin.name ? "none" : "snapshot",
    otherWorkers,
  } as const;
  return { ...explained, why: explainWhy(explained, instance.quarantined) };
}

function decidedBy(placed: Placed, hasScores: boolean): ExplainedPick["decidedBy"] {
  if (typeof placed !== "string" && placed.backend !== null) {
    if (placed.affinity) return "affinity";
    if (placed.fallback) return "least-connections";
  }
  return hasScores ? "score" : "pick";
}

function idOf(placed: Placed): string | null {
  return typeof placed === "string" ? null : (placed.backend?.id ?? null);
}

/** Picks one after the other, with nothing else going on. */
function sharesOf(fork: StrategyFork): Record<string, number> {
  const shares = new Map<string, number>();
  for (let pick = 0; pick < PICKS; pick++) {
    const id = idOf(fork.place(false)) ?? REFUSED;
    shares.set(id, (shares.get(id) ?? 0) + 1);
  }
  return Object.fromEntries(shares);
}

function likeliest(shares: Readonly<Record<string, number>>): string | null {
  const [[id] = [REFUSED]] = Object.entries(shares).toSorted(([, one], [, two]) => two - one);
  return id === REFUSED ? null : id;
}

function replay(job: ExplainJob & ReplayTask, plugin: StrategyPlugin<unknown>): Replayed {
  const { decision, bytes, seeds } = job;
  const previous: unknown = bytes === null ? undefined : deserialize(bytes);
  const { headers, withheld: _withheld, ...request } = decision.request;
  const sent = Object.entries(headers).filter(
    (field): field is [string, string] => field[1] !== null,
  );
  let fault: string | null = null;
  const picks = seeds.map((seed) => {
    const rehearsal = new Rehearsal({
      plugin,
      options: job.strategy.options,
      backends: decision.candidates.map((each) => new FakeBackend(each)),
      seed,
      previous: previous === undefined ? null : { name: plugin.name, snapshot: previous },
    });
    const { backend } = rehearsal.pick(rehearsal.backends, {
      request: fakeRequest({ ...request, headers: Object.fromEntries(sent) }),
      attempt: decision.attempt,
      failOpen: decision.failOpen,
    });
    fault ??= rehearsal.faults[0]?.message ?? null;
    return backend?.id ?? null;
  });
  return { picks, previous, loss: previous === undefined ? null : jsonLoss(previous), fault };
}
