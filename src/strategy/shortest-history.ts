import type { History, Step } from "../testing-api.ts";

/** A strategy that fails only now and then must not keep an author waiting. */
const MOST_TRIALS = 1000;

/**
 * The shortest history that still fails, as far as leaving things out can tell: halves of the steps,
 * then quarters, down to single ones, until none can be spared (the ddmin algorithm of Zeller and
 * Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002); then backends, weights, and what
 * steps say.
 *
 * `fails` is true for `history`.
 */
export function shortestHistory(history: History, fails: (history: History) => boolean): History {
  let left = MOST_TRIALS;
  const stillFails = (candidate: History): boolean => left-- > 0 && fails(candidate);
  let shortest = withFewerBackends(withFewerSteps(history, stillFails), stillFails);
  shortest = withPlainerSteps(shortest, stillFails);
  // One backend less, or another attempt that ends, makes further steps idle.
  return withFewerSteps(shortest, stillFails);
}

function withFewerSteps(history: History, fails: (history: History) => boolean): History {
  let { steps } = history;
  const without = (from: number, size: number): readonly Step[] => [
    ...steps.slice(0, from),
    ...steps.slice(from + size),
  ];
  for (let size = Math.ceil(steps.length / 2); size >= 1;) {
    let spared = false;
    for (let from = 0; from < steps.length;) {
      const fewer = without(from, size);
      if (fails({ ...history, steps: fewer })) {
        steps = fewer;
        spared = true;
      } else from += size;
    }
    if (size === 1 && !spared) break;
    size = size === 1 ? 1 : Math.ceil(size / 2);
  }
  return { ...history, steps };
}

function withFewerBackends(history: History, fails: (history: History) => boolean): History {
  let shortest = history;
  const tryWeights = (weights: readonly number[]): boolean => {
    const candidate = { ...shortest, weights };
    if (!fails(candidate)) return false;
    shortest = candidate;
    return true;
  };
  // From the end: the names of the others stay what they are.
  let length = shortest.weights.length;
  for (let fewer = 1; fewer < length; fewer = Math.max(fewer + 1, Math.floor(fewer * 1.5))) {
    if (tryWeights(shortest.weights.slice(0, fewer))) break;
  }
  length = shortest.weights.length;
  if (shortest.weights.some((weight) => weight !== 1)) tryWeights(Array<number>(length).fill(1));
  return shortest;
}

/** The oldest attempt instead of some other, a pick like any other. */
function withPlainerSteps(history: History, fails: (history: History) => boolean): History {
  let { steps } = history;
  for (const [index, step] of steps.entries()) {
    for (const plainer of plainerSteps(step)) {
      const candidate = steps.with(index, plainer);
      if (!fails({ ...history, steps: candidate })) continue;
      steps = candidate;
      break;
    }
  }
  return { ...history, steps };
}

function plainerSteps(step: Step): readonly Step[] {
  if (step[0] === "end" && step[1] > 0) return [["end", 0, step[2] ?? "ok"]];
  if (step[0] === "pick" && step[1] !== undefined) return [["pick"]];
  if (step[0] === "start") return [["pick"]];
  return [];
}
