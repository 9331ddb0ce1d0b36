/** One request's way through its pool: candidates, pick, lease, send, and again if it may. */
import { decideNextStep, decideRetryOfStatus, isConnectFailure } from "../balance/attempts.ts";
import { selectCandidates } from "../balance/candidates.ts";
import { type NoPlacement, place } from "../balance/placement.ts";
import { Settlement } from "../balance/settle.ts";
import { authorityOf } from "../config/address.ts";
import { asProxyError, type ErrorCode, ProxyError } from "../errors.ts";
import type { Outcome, RequestInfo } from "../plugin.ts";
import { configOf, type PoolBackend } from "../pool/backend.ts";
import type { ByteReader } from "../transport/byte-reader.ts";
import type { BackendResponse, Exchange } from "../transport/exchange.ts";
import { isEventStream } from "../transport/event-stream.ts";
import { TransportError } from "../transport/transport-error.ts";
import { AttemptRun } from "./attempt.ts";
import type { Forwarding } from "./forwarding.ts";
import type { FrontAnswer, FrontRequest } from "./front.ts";
import { requestHead, responseHeaders } from "./headers.ts";
import type { ObservedRequest } from "./observer.ts";
import { RequestBody } from "./request-body.ts";
import { collectBody } from "./response-body.ts";
import type { ServingPool } from "./serving-pool.ts";

/** What all requests of a worker share. */
export interface AttemptLoopContext {
  /** This worker's cell in the counters. */
  readonly worker: number;
  readonly now: () => number;
  /** Unique in the worker. */
  readonly nextAttemptId: () => number;
}

export interface ForwardedRequest {
  readonly front: FrontRequest;
  readonly info: RequestInfo;
  readonly forwarding: Forwarding;
  readonly observed: ObservedRequest | null;
  /** Called once, when the answer has been sent or broken. */
  readonly onEnd: (status: number | null, error: ErrorCode | null) => void;
}

/** Only the first call counts. `error` is our code, null when all went well. */
type Finish = (outcome: Outcome, error: ErrorCode | null) => void;

interface KeptResponse {
  readonly run: AttemptRun;
  readonly exchange: Exchange;
  readonly response: BackendResponse;
}

export class AttemptLoop {
  readonly #context: AttemptLoopContext;
  readonly #serving: ServingPool;
  readonly #request: ForwardedRequest;
  readonly #body: RequestBody | null;
  readonly #tried = new Set<PoolBackend>();
  /** Of all attempts, for the strategy; failures to connect included. */
  #number = 0;
  /** Of those that count for `retry.attempts`. */
  #counted = 0;
  #exchange: Exchange | null = null;
  /** Closes the books of an answer that has begun. */
  #finish: Finish | null = null;
  /** Why the whole request ends, whatever an attempt may say. */
  #ended: ProxyError | null = null;
  /** A response that may be retried, for the client if nothing better comes. */
  #kept: KeptResponse | null = null;
  #deadline: ReturnType<typeof setTimeout> | null = null;

  constructor(context: AttemptLoopContext, serving: ServingPool, request: ForwardedRequest) {
    this.#context = context;
    this.#serving = serving;
    this.#request = request;
    const { body } = request.front;
    const { maxBytes } = serving.config.body;
    this.#body = body === null ? null : new RequestBody(body, maxBytes);
  }

  /** Rejects with a ProxyError, having told nobody. */
  async run(): Promise<FrontAnswer> {
    const { requestMs } = this.#serving.config.timeouts;
    this.#request.front.onGone(() => {
      this.#end(new ProxyError("client_gone", "the client went away", { source: "client" }));
    });
    if (requestMs !== null) {
      this.#deadline = setTimeout(() => this.#end(this.#overdue()), requestMs);
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

  /** The backend's fault only if all it had to do was answer: slow clients must not get it ejected. */
  #overdue(): ProxyError {
    const waiting = this.#finish === null && (this.#body?.ended ?? true);
    return new ProxyError("request_timeout", "the request took longer than timeouts.request", {
      source: waiting ? "backend" : "client",
    });
  }

  #end(reason: ProxyError): void {
    this.#ended ??= reason;
    this.#exchange?.abort(this.#ended);
    // A stream that nobody reads any more would never notice.
    this.#finish?.(outcomeOf(this.#ended), this.#ended.code);
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
        const kept = this.#kept;
        if (kept === null || this.#ended !== null) throw error;
        return await this.#answerKept(kept);
      }
    }
  }

  /** Keeps a response whose status is to be retried; one kept before is of no use any more. */
  #keep(run: AttemptRun, exchange: Exchange, response: BackendResponse): void {
    this.#dropKept();
    run.respond(response);
    this.#kept = { run, exchange, response };
  }

  #dropKept(): void {
    const kept = this.#kept;
    this.#kept = null;
    if (kept === null) return;
    kept.response.body?.cancel();
    kept.run.end("ok", null);
  }

  #answerKept(kept: KeptResponse): Promise<FrontAnswer> {
    this.#kept = null;
    this.#exchange = kept.exchange;
    return this.#answer(kept.run, kept.response);
  }

  /**
   * Picks and takes the lease in one tick. Throws what the client gets when there is nobody to
   * pick: the `failure` of the attempt before, if there was one.
   */
  #start(failure: ProxyError | null): AttemptRun {
    const { pool, host } = this.#serving;
    const { info, observed } = this.#request;
    const { worker, now, nextAttemptId } = this.#context;
    const number = this.#number + 1;
    const placed = place({
      pool,
      host,
      worker,
      request: info,
      attempt: number,
      tried: this.#tried,
    });
    if (typeof placed === "string") throw failure ?? notPlaced(placed);
    const { backend, admission, candidates, fallback } = placed;
    this.#number = number;
    this.#tried.add(backend);
    return new AttemptRun({
      id: nextAttemptId(),
      number,
      backend,
      request: info,
      admission,
      settlement: new Settlement(this.#serving.settlement, admission),
      host,
      now,
      observed:
        observed?.attemptStarting({
          number,
          pool: pool.name,
          backend,
          strategy: { name: host.name, version: host.version },
          candidates,
          inFlight: backend.inFlight - 1,
          fallback,
          target: this.#request.forwarding.target,
          host: this.#backendHost(backend),
        }) ?? null,
    });
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
        if (this.#retriesStatus(response.status)) {
          this.#counted++;
          this.#keep(run, exchange, response);
          return null;
        }
        this.#dropKept();
        return await this.#answer(run, response);
      } catch (error) {
        const failure = this.#ended ?? asProxyError(error);
        if (!(failure instanceof TransportError) || run.responded) {
          run.end(outcomeOf(failure), failure.code);
          throw failure;
        }
        if (!isConnectFailure(failure) && !reconnected) this.#counted++;
        const step = decideNextStep({
          failure,
          method: this.#request.front.method,
          bodyReplayable: this.#body?.replayable ?? true,
          attempts: this.#counted,
          reconnected,
          retry: this.#serving.config.retry,
          budget: this.#serving.budget ?? NO_BUDGET,
        });
        if (step === "reconnect") continue;
        // A connection that the backend closed while it lay idle is no failure of its.
        run.end(failure.outcome, failure.code, !failure.stale);
        if (step === "stop") throw failure;
        return failure;
      }
    }
  }

  #retriesStatus(status: number): boolean {
    const { pool, config, budget } = this.#serving;
    if (status < 502 || config.retry === null || this.#ended !== null) return false;
    return decideRetryOfStatus({
      status,
      method: this.#request.front.method,
      bodyReplayable: this.#body?.replayable ?? true,
      attempts: this.#counted + 1,
      retry: config.retry,
      budget: budget ?? NO_BUDGET,
      hasCandidate: () => selectCandidates(pool, this.#tried).none === null,
    });
  }

  #exchangeWith(run: AttemptRun, fresh: boolean): Exchange {
    const { front, info } = this.#request;
    const { bodyLength } = this;
    this.#exchange = this.#serving.transport(run.backend).send({
      method: front.method,
      head: requestHead(front, {
        host: this.#backendHost(run.backend),
        clientHost: info.host,
        forwarding: this.#request.forwarding,
        rules: this.#serving.config.headers.request,
        framing: bodyLength,
        set: run.observed?.headers ?? [],
        remove: run.observed?.removed ?? [],
      }),
      body: this.#body?.pass() ?? null,
      bodyLength: typeof bodyLength === "number" ? bodyLength : null,
      fresh,
      onConnect: (durationMs) => run.observed?.connected(durationMs),
    });
    return this.#exchange;
  }

  /** A length, `chunked`, or null when the request has no body and says nothing about it. */
  get bodyLength(): number | "chunked" | null {
    const { headers } = this.#request.front;
    const length = headers.get("content-length");
    if (length !== null) return Number(length);
    return this.#body === null ? null : "chunked";
  }

  #backendHost(backend: PoolBackend): string {
    const { host } = this.#request.info;
    if (this.#serving.config.hostHeader === "preserve" && host !== "") return host;
    return authorityOf(configOf(backend).address);
  }

  async #answer(run: AttemptRun, response: BackendResponse): Promise<FrontAnswer> {
    if (!run.responded) run.respond(response);
    const { config } = this.#serving;
    const { status, body } = response;
    const finish: Finish = (outcome, error) => {
      if (this.#finish === null) return;
      this.#finish = null;
      this.#clearDeadline();
      this.#body?.cancel();
      run.end(outcome, error);
      this.#request.onEnd(status, error);
    };
    const headers = responseHeaders(response.headers, body === null, config.headers.response);
    const { bufferBytes } = config.body;
    let sent: Uint8Array | ByteReader | null = body?.takeWhole(bufferBytes) ?? body;
    if (sent === body && body !== null && isShort(response.bodyLength, bufferBytes)) {
      sent = await collectBody(body, this.#context.now);
    }
    if (this.#ended !== null) throw this.#ended;
    this.#finish = finish;
    if (sent === null || sent instanceof Uint8Array) {
      finish("ok", null);
      return { status, headers, body: sent, idleMs: null };
    }
    const idleMs = isEventStream(response.headers) ? null : config.timeouts.idleMs;
    return { status, headers, body: this.#watched(sent, finish), idleMs };
  }

  /** Passes a streamed body on and notices how it ends. */
  #watched(body: ByteReader, finish: Finish): ByteReader {
    return {
      read: async () => {
        try {
          const bytes = await body.read();
          if (bytes === null) finish("ok", null);
          return bytes;
        } catch (error) {
          const failure = this.#ended ?? asProxyError(error);
          finish(outcomeOf(failure), failure.code);
          throw failure;
        }
      },
      cancel: () => {
        this.#end(new ProxyError("client_gone", "the client went away", { source: "client" }));
        body.cancel();
      },
    };
  }

  #clearDeadline(): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = null;
  }
}

const NO_BUDGET = { tryRetry: () => false };

const NOT_PLACED: Record<NoPlacement, string> = {
  draining: "every backend of the pool is draining",
  down: "every backend of the pool is down",
  full: "every backend of the pool is at its limit",
  tried: "no further backend is available",
  refused: "the strategy refused the request",
};

function notPlaced(why: NoPlacement): ProxyError {
  const code = why === "refused" ? "strategy_refused" : "no_backend_available";
  return new ProxyError(code, NOT_PLACED[why], { source: "proxy" });
}

/** What did not go wrong at the backend must not be held against it. */
function outcomeOf(failure: ProxyError): Outcome {
  if (failure instanceof TransportError) return failure.outcome;
  return failure.source === "backend" ? "timeout" : "client_gone";
}

function isShort(length: number | null, limit: number): boolean {
  return length !== null && length <= limit;
}
