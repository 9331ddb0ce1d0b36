import type { Attributes } from "@opentelemetry/api";
import type { Decision, DecisionCandidate } from "../proxy/observer.ts";
import {
  DECISION_CANDIDATES,
  DECISION_EXCLUDED,
  DECISION_FAIL_OPEN,
  DECISION_IN_FLIGHT,
  DECISION_LEFT_OUT,
  DECISION_NO_SCORES,
  DECISION_SCORES,
  DECISION_TIE,
} from "./attributes.ts";

/** Of a list; a pool of a thousand backends must not make spans of a hundred kilobytes. */
const MAX_LISTED = 64;
const BY_PICK = "pick decides, no scores";
const BY_AFFINITY = "the client's session decides, no scores";

/**
 * Lists side by side, the best candidate first: viewers show an attribute's list as one line, and
 * lists of strings or numbers are all that an attribute can hold.
 */
export function decisionAttributes(decision: Decision): Attributes {
  const { candidates, excluded } = decision;
  const hasScores = candidates.some(hasScore);
  const ordered = hasScores && !areInOrder(candidates) ? candidates.toSorted(byScore) : candidates;
  const listed = Math.min(ordered.length, MAX_LISTED);
  const ids: string[] = [];
  const inFlight: number[] = [];
  const scores: number[] = [];
  for (let i = 0; i < listed; i++) {
    const candidate = ordered[i] as DecisionCandidate;
    ids.push(candidate.id);
    inFlight.push(candidate.inFlight);
    if (hasScores) scores.push(finiteScore(candidate));
  }
  const attributes: Attributes = {
    [DECISION_CANDIDATES]: ids,
    [DECISION_IN_FLIGHT]: inFlight,
    [DECISION_EXCLUDED]: excluded.slice(0, MAX_LISTED).map(({ id, reason }) => `${id} ${reason}`),
    [DECISION_TIE]: decision.tie,
    [DECISION_FAIL_OPEN]: decision.failOpen,
  };
  if (hasScores) attributes[DECISION_SCORES] = scores;
  else attributes[DECISION_NO_SCORES] = decision.affinity ? BY_AFFINITY : BY_PICK;
  const leftOut = candidates.length - listed + Math.max(0, excluded.length - MAX_LISTED);
  if (leftOut > 0) attributes[DECISION_LEFT_OUT] = leftOut;
  return attributes;
}

function hasScore({ score }: DecisionCandidate): boolean {
  return score !== null;
}

/** Sorting makes a copy, which is most of what this costs. */
function areInOrder(candidates: readonly DecisionCandidate[]): boolean {
  for (let i = 1; i < candidates.length; i++) {
    if (byScore(candidates[i - 1] as DecisionCandidate, candidates[i] as DecisionCandidate) > 0) {
      return false;
    }
  }
  return true;
}

function byScore(one: DecisionCandidate, two: DecisionCandidate): number {
  return finiteScore(one) - finiteScore(two);
}

/** JSON has no Infinity: OTLP over http/json would send null, which is no number. */
function finiteScore({ score }: DecisionCandidate): number {
  return Math.min(score ?? Number.MAX_VALUE, Number.MAX_VALUE);
}
