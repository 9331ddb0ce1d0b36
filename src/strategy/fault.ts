import type { Backend, Strategy } from "../plugin.ts";
import { describeThrown, describeValue, isThenable } from "../config/describe.ts";

/** A strategy broke its side of the API. `message` says how, in a sentence that begins with the method. */
export class StrategyFault extends Error {
  override readonly name = "StrategyFault";
  readonly method: keyof Strategy;

  constructor(method: keyof Strategy, message: string, options?: ErrorOptions) {
    super(message, options);
    this.method = method;
  }
}

/** What a method threw; a fault that we threw ourselves stays as it is. */
export function faultOf(method: keyof Strategy, thrown: unknown): StrategyFault {
  if (isFault(thrown)) return thrown;
  return new StrategyFault(method, `${method} threw: ${describeThrown(thrown)}`, { cause: thrown });
}

export function scoreFault(backend: Backend, score: unknown): StrategyFault {
  ignoreRejection(score);
  return new StrategyFault(
    "score",
    isThenable(score)
      ? "score returned a Promise, but picks are synchronous: it must return a number"
      : `score returned ${describeValue(score)} for backend ${JSON.stringify(backend.id)}: ` +
          `it must return a number (lower is better, Infinity for "not this one"${fieldHint(score)})`,
  );
}

const BACKEND_FIELDS = Object.keys({
  id: true,
  url: true,
  weight: true,
  labels: true,
  health: true,
  draining: true,
  inFlight: true,
} satisfies Record<keyof Backend, true>);

/** What reading a field that is not there comes to, with or without arithmetic. */
function fieldHint(score: unknown): string {
  if (score !== undefined && !Number.isNaN(score)) return "";
  return `; is a field misspelt? a backend has ${BACKEND_FIELDS.join(", ")}`;
}

/** `known` says whether the pool has a backend like that, available or not. */
export function pickFault(answer: unknown, known: boolean): StrategyFault {
  ignoreRejection(answer);
  const allowed = "it must return one of the candidates, or null to refuse the request";
  if (isThenable(answer)) {
    return new StrategyFault(
      "pick",
      `pick returned a Promise, but picks are synchronous: ${allowed}`,
    );
  }
  if (known) {
    const id = JSON.stringify((answer as Backend).id);
    return new StrategyFault(
      "pick",
      `pick returned backend ${id}, which is not a candidate: ${allowed}`,
    );
  }
  return new StrategyFault("pick", `pick returned ${describeValue(answer)}: ${allowed}`);
}

export function snapshotFault(snapshot: PromiseLike<unknown>): StrategyFault {
  ignoreRejection(snapshot);
  return new StrategyFault(
    "snapshot",
    "snapshot returned a Promise, but it must return plain data at once",
  );
}

/** Even `instanceof` throws for some things that can be thrown (a revoked Proxy). */
function isFault(thrown: unknown): thrown is StrategyFault {
  try {
    return thrown instanceof StrategyFault;
  } catch {
    return false;
  }
}

/** A Promise that nobody asked for may reject, and an unhandled rejection would end the process. */
export function ignoreRejection(value: unknown): void {
  onRejection(value, () => {});
}

/** Calls back when `value` is a Promise and rejects. */
export function onRejection(value: unknown, callback: (reason: unknown) => void): void {
  if (!isThenable(value)) return;
  // Not `Promise.resolve`, which reads `constructor` of what it is given and may throw.
  new Promise((resolve) => resolve(value)).then(undefined, callback);
}
