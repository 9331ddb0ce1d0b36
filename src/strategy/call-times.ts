import type { CallMark, StrategyCall } from "../pool/worker-pulse.ts";

/** What the calls into a strategy compute, the longest first to be found. Belongs to one strategy that is tried. */
export class CallTimes implements CallMark {
  readonly #cpuMs: () => number;
  #call: StrategyCall = "import";
  #startedMs = 0;
  #longest: { readonly call: StrategyCall; readonly ms: number } | null = null;

  /** `cpuMs`: what this thread has computed. Not the time of day: the machine may be busy with other things. */
  constructor(cpuMs: () => number) {
    this.#cpuMs = cpuMs;
  }

  /** Null before the first call. */
  get longest(): { readonly call: StrategyCall; readonly ms: number } | null {
    return this.#longest;
  }

  enter(call: StrategyCall): number {
    this.#call = call;
    this.#startedMs = this.#cpuMs();
    return 0;
  }

  leave(): void {
    const ms = this.#cpuMs() - this.#startedMs;
    if (ms > (this.#longest?.ms ?? -1)) this.#longest = { call: this.#call, ms };
  }
}
