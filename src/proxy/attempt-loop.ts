/** One request's way through its pool: candidates, pick, lease, send, and again if it may. */
import {
  decideNextStep,
  decideRetryOfStatus,
  isConnectFailure,
  retryReason,
} from "../balance/attempts.ts";
import { selectCandidates } from "../balance/candidates.ts";
import { place, type Placement } from "../balance/placement.ts";
import { Settlement } from "../balance/settle.ts";
import { asProxyError, ProxyError } from "../errors.ts";
import type { RequestInfo } from "../plugin.ts";
import type { PoolBackend } from "../pool/backend.ts";
import type { BackendResponse, Exchange } from "../transport/exchange.ts";
import { TransportError } from "../transport/transport-error.ts";
import type { Session } from "./affinity.ts";
import { Answer } from "./answer.ts";
import { AttemptRun } from "./attempt.ts";
import { attemptFacts, shadowedAttempt } from "./attempt-facts.ts";
import { cameByTls, type Forwarding } from "./forwarding.ts";
import type { FrontAnswer, FrontRequest } from "./front.ts";
import type { HeaderReads } from "./header-reads.ts";
import type { ObservedAttempt, ObservedRequest, RetryReason } from "./observer.ts";
import { outgoingRequest } from "./outgoing-request.ts";
import { RequestBody } from "./request-body.ts";
import { endOfAnswer } from "./request-end.ts";
import { clientGone, notPlaced, overdue } from "./request-failures.ts";
import type { ServingPool } from "./serving-pool.ts";

/** What all requests of a worker share. */
export interface AttemptLoopContext {
  /** This worker's cell in the counters. */
  readonly worker: number;
  readonly now: () => number;
  /** Unique in the worker. */
  readonly nextAttemptId: () => number;
  /** Absent: nobody wants to know. */
  readonly headerReads?: HeaderReads;
}

export interface ForwardedRequest {
  readonly front: FrontRequest;
  readonly info: RequestInfo;
  readonly forwarding: Forwarding;
  /** Told of everything but the end of a request that `run` rejects. */
  readonly observed: ObservedRequest | null;
  /** When the request began. */
  readonly startedAt: number;
}

/** A deadline that is noticed so late was missed by this process, which stood still. */
const LATE_MS = 500;

export class AttemptLoop {
  readonly #context: AttemptLoopContext;
  readonly #serving: ServingPool;
  readonly #request: ForwardedRequest;
  readonly #body: RequestBody | null;
  /** As the client's cookie has it. */
  readonly #session: Session | null;
  readonly #tried = new Set<PoolBackend>();
  /** Of all attempts, for the strategy; failures to connect included. */
  #number = 0;
  /** Of those that count for `retry.attempts`. */
  #counted = 0;
  /** What became of the attempt before, if it is repeated. */
  #retryReason: RetryReason | null = null;
  #exchange: Exchange | null = null;
  /** On its way to the client. */
  #sending: Answer | null = null;
  /** Why the whole request ends, whatever an attempt may say. */
  #ended: ProxyError | null = null;
  /** A response that may be retried, for the client if nothing better comes. */
  #kept: { readonly answer: Answer; readonly exchange: Exchange } | null = null;
  #deadline: ReturnType<typeof setTimeout> | null = null;

  constructor(context: AttemptLoopContext, serving: ServingPool, request: ForwardedRequest) {
    this.#context = context;
    this.#serving = serving;
    this.#request = request;
    const { body, headers } = request.front;
    this.#session = serving.affinity?.sessionOf(headers.get("cookie")) ?? null;
    const { maxBytes } = serving.config.body;
    this.#body = body === null ? null : new RequestBody(body, maxBytes);
  }

  /** Of the request's body, as far as it was read. */
  get requestBytes(): number {
    return this.#body?.bytes ?? 0;
  }

  /** Rejects with a ProxyError, having told nobody. */
  async run(): Promise<FrontAnswer> {
    const { requestMs } = this.#serving.config.timeouts;
    this.#request.front.onGone(() => this.#end(clientGone()));
    if (requestMs !== null) {
      const { now } = this.#context;
      const dueMs = now() + requestMs;
      const onDue = (): void => this.#end(this.#overdue(now() - dueMs > LATE_MS));
      this.#deadline = setTimeout(onDue, requestMs);
    }
    this.#serving.budget?.request();
    try {
      return await this.#attempts();
    } catch (error) {
      this.#dropKept();
      this.#clearDeadline();
      this.#body?.cancel();
      throw this.#ended ?? error;
    }
  }

  /**
   * The backend's fault only if all it had to do was answer: slow clients must not get it ejected, nor this process when it stood
   * still, which is why the deadline is noticed `late`.
   */
  #overdue(late: boolean): ProxyError {
    return overdue(!late && !this.#sending?.underWay && (this.#body?.ended ?? true));
  }

  #end(reason: ProxyError): void {
    this.#ended ??= reason;
    this.#exchange?.abort(this.#ended);
    this.#sending?.fail(this.#ended);
  }

  async #attempts(): Promise<FrontAnswer> {
    for (let failure: ProxyError | null = null; ;) {
      if (this.#ended !== null) throw this.#ended;
      try {
        const answer = await this.#send(this.#start(failure));
        if (answer === null) continue;
        if (!(answer instanceof ProxyError)) return answer;
        failure = answer;
      } catch (error) {
        if (this.#kept === null || this.#ended !== null) throw error;
        const { answer, exchange } = this.#kept;
        this.#kept = null;
        this.#exchange = exchange;
        this.#sending = answer;
        return answer.send();
      }
    }
  }

  #dropKept(): void {
    this.#kept?.answer.drop();
    this.#kept = null;
  }

  /**
   * Picks and takes the lease in one tick. Throws what the client gets when there is nobody to
   * pick: the `failure` of the attempt before, if there was one.
   */
  #start(failure: ProxyError | null): AttemptRun {
    const { pool, host, decisions, shadow } = this.#serving;
    const { info, observed } = this.#request;
    const { worker, now, nextAttemptId, headerReads } = this.#context;
    const number = this.#number + 1;
    const wantsDecision = (observed?.wantsDecision ?? false) || (decisions?.due ?? false);
    if (wantsDecision) headerReads?.begin();
    const placed = place({
      pool,
      host,
      worker,
      request: info,
      attempt: number,
      tried: this.#tried,
      session: this.#session?.backend ?? null,
      now: observed === null ? null : now,
      wantsDecision,
    });
    const read = wantsDecision ? headerReads?.end() : undefined;
    if (typeof placed === "string") throw failure ?? notPlaced(placed);
    if (decisions !== null && read !== undefined) {
      const traceId = observed?.trace?.traceId ?? null;
      decisions.take({
        pool,
        strategy: host,
        request: info,
        read,
        placed,
        attempt: number,
        traceId,
      });
    }
    if (placed.backend === null) throw failure ?? notPlaced("refused");
    const { backend, admission } = placed;
    this.#number = number;
    this.#tried.add(backend);
    const watched = observed === null ? null : this.#observe(observed, placed);
    const id = nextAttemptId();
    return new AttemptRun({
      id,
      number,
      backend,
      request: info,
      admission,
      settlement: new Settlement(this.#serving.settlement, admission),
      host,
      now,
      observed: watched,
      sampled:
        shadow !== null && shadow.takes()
          ? shadow.attemptStarting(
              shadowedAttempt(this.#serving, this.#request, placed, { id, number }),
            )
          : null,
    });
  }

  #observe(observed: ObservedRequest, placed: Placement): ObservedAttempt | null {
    const facts = attemptFacts(this.#serving, this.#request, placed, {
      number: this.#number,
      retryReason: this.#retryReason,
    });
    const attempt = observed.attemptStarting(facts);
    if (attempt?.notes !== undefined) placed.notes?.tell(attempt.notes);
    return attempt;
  }

  /**
   * The answer, or the failure after which another candidate may be tried, or null when it is tried because
   * of the status. Rejects when none may.
   */
  async #send(run: AttemptRun): Promise<FrontAnswer | ProxyError | null> {
    for (let reconnected = false; ; reconnected = true) {
      try {
        const exchange = this.#exchangeWith(run, reconnected);
        const response = await exchange.response;
        const mayRetry = this.#retriesStatus(response.status);
        // One kept before is of no use any more.
        this.#dropKept();
        const answer = this.#answer(run, response);
        if (mayRetry) {
          this.#counted++;
          this.#retryReason = "status";
          this.#kept = { answer, exchange };
          return null;
        }
        this.#sending = answer;
        return answer.send();
      } catch (error) {
        const failure = this.#ended ?? asProxyError(error);
        if (!(failure instanceof TransportError) || run.responded) {
          run.fail(failure);
          throw failure;
        }
        const counted = this.#counted + Number(reconnected || !isConnectFailure(failure));
        const step = decideNextStep({
          failure,
          method: this.#request.front.method,
          bodyReplayable: this.#body?.replayable ?? true,
          attempts: counted,
          reconnected,
          retry: this.#serving.config.retry,
          budget: this,
        });
        if (step === "reconnect") {
          run.observed?.reconnecting();
          continue;
        }
        this.#counted = counted;
        // A connection that the backend closed while it lay idle is no failure of its.
        run.end(failure.outcome, failure.code, !failure.stale);
        if (step === "stop") throw failure;
        this.#retryReason = retryReason(failure.outcome);
        return failure;
      }
    }
  }

  #retriesStatus(status: number): boolean {
    const { config } = this.#serving;
    if (status < 502 || config.retry === null || this.#ended !== null) return false;
    return decideRetryOfStatus({
      status,
      method: this.#request.front.method,
      bodyReplayable: this.#body?.replayable ?? true,
      attempts: this.#counted + 1,
      retry: config.retry,
      budget: this,
      hasCandidate: () => this.#hasCandidate(),
    });
  }

  /** Asked when a retry is all that is missing. */
  tryRetry(): boolean {
    if (this.#serving.budget?.tryRetry() ?? false) return true;
    if (this.#hasCandidate()) this.#request.observed?.retryRefused();
    return false;
  }

  #hasCandidate(): boolean {
    return selectCandidates(this.#serving.pool, this.#tried).none === null;
  }

  #exchangeWith(run: AttemptRun, fresh: boolean): Exchange {
    const { hostHeader, headers } = this.#serving.config;
    const request = outgoingRequest({
      request: this.#request,
      run,
      hostHeader,
      rules: headers.request,
      body: this.#body,
      fresh,
    });
    this.#exchange = this.#serving.transport(run.backend).send(request);
    return this.#exchange;
  }

  #answer(run: AttemptRun, response: BackendResponse): Answer {
    return new Answer({
      run,
      response,
      config: this.#serving.config,
      setCookie: this.#sessionField(run.backend),
      now: this.#context.now,
      ended: () => this.#ended,
      onUnwanted: () => this.#end(clientGone()),
      onEnd: this.#answered,
    });
  }

  /** For an answer of this backend. */
  #sessionField(backend: PoolBackend): string | null {
    const { affinity } = this.#serving;
    if (affinity === null) return null;
    const { front, forwarding } = this.#request;
    return affinity.fieldFor(backend, this.#session, cameByTls(front, forwarding.trusted));
  }

  readonly #answered = (answer: Answer, failure: ProxyError | null): void => {
    this.#clearDeadline();
    this.#body?.cancel();
    const { observed, startedAt } = this.#request;
    observed?.ended(endOfAnswer(answer, failure, { startedAt, requestBytes: this.requestBytes }));
  };

  #clearDeadline(): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = null;
  }
}
