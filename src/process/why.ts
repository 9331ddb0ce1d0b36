import type { ExplainedPick } from "../admin/explanation.ts";
import { exclusionOf, selectCandidates } from "../balance/candidates.ts";
import type { Decision, ExcludedBackend } from "../balance/decision.ts";
import type { Pool } from "../pool/pool.ts";

/** Without a decision nobody was a candidate, and each backend has its reason. */
export function exclusions(pool: Pool, decision: Decision | null): readonly ExcludedBackend[] {
  if (decision !== null) return decision.excluded;
  const tried = { size: 0, has: () => false };
  const { failOpen } = selectCandidates(pool, tried);
  return pool.backends.map((backend) => ({
    id: backend.id,
    reason: exclusionOf(pool, backend, tried, failOpen),
  }));
}

const NOBODY = {
  draining: "every backend is taken out",
  down: "every backend that is not taken out is down",
  full: "every backend that could take it is at its limit",
  tried: "nobody is left to try",
} as const;

/** Among shares the key of those picks that are nobody's. No backend can be called so. */
export const REFUSED = "(refused)";

/** One sentence for people. `quarantined`: the running instance is. */
export function explainWhy(pick: Omit<ExplainedPick, "why">, quarantined: boolean): string {
  const { strategy, chosen, nobody, candidates, tie, shares, fault } = pick;
  const { name } = strategy;
  const refusals = shares?.[REFUSED] ?? 0;
  const how = pick.decidedBy === "pick" ? " (pick decides, no scores)" : "";
  const chance = `chance has a part in it${how}: `;
  if (nobody === "refused") {
    const always = shares === null || Object.keys(shares).length === 1;
    if (always) return `${name} refuses it: the client gets a 503`;
    return `${chance}${name} refuses ${refusals} of 1,000 picks, and the client gets a 503 then`;
  }
  if (nobody !== null) return `nobody gets it: ${NOBODY[nobody]}, and the client gets a 503`;
  if (pick.decidedBy === "affinity") return `${chosen} gets it: the client's session is there`;
  if (pick.decidedBy === "least-connections") {
    const reason = quarantined ? `${name} is quarantined` : (fault ?? `${name} failed`);
    return `least connections sends it to ${chosen}, because ${reason}`;
  }
  const lowest = candidates.find(({ id }) => id === chosen)?.score;
  if (tie && refusals === 0) {
    const tied = candidates.filter(({ score }) => score === lowest).length;
    return `${tied} candidates have the lowest score of ${name}, ${shown(lowest)}: they take turns by weight`;
  }
  if (shares !== null) {
    const refuses = refusals === 0 ? "" : `, which refuses ${refusals}: the client gets a 503 then`;
    return `${chance}${chosen} gets ${shares[chosen ?? REFUSED] ?? 0} of 1,000 picks of ${name}${refuses}`;
  }
  if (candidates.length === 1) return `${chosen} gets it: it is the only candidate`;
  if (pick.decidedBy === "pick")
    return `${chosen} gets it: ${name} picks it (pick decides, no scores)`;
  return `${chosen} gets it: ${name} gives it the lowest score, ${shown(lowest)}`;
}

/** As many digits as people read. */
export function shown(score: number | string | null | undefined): string {
  if (score === null || score === undefined) return "none";
  return typeof score === "string" ? score : String(Number(score.toPrecision(6)));
}
