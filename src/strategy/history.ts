import type { Attempt, Backend, Health, Outcome, StrategyPlugin } from "../plugin.ts";
import type { History, PickStep, Step } from "../testing-api.ts";
import type { StrategyFault } from "./fault.ts";
import { Rehearsal } from "./rehearsal.ts";

/** A history on its way, step by step. */
export class Replay {
  readonly rehearsal: Rehearsal;
  /** Ids of the backends picked, `-` for a refusal. */
  readonly picks: string[] = [];
  readonly #running: Attempt[] = [];

  /** Throws what the strategy's host throws. */
  constructor(plugin: StrategyPlugin<unknown>, history: History) {
    const { previous } = history;
    this.rehearsal = new Rehearsal({
      plugin,
      options: history.options,
      weights: history.weights,
      seed: history.seed,
      previous: previous === undefined ? null : { name: plugin.name, snapshot: previous },
    });
  }

  get faults(): readonly StrategyFault[] {
    return this.rehearsal.faults;
  }

  /** Takes every step; stops early where `until` says so. */
  run(steps: readonly Step[], until: () => boolean = () => false): void {
    for (const step of steps) {
      this.take(step);
      if (until()) return;
    }
  }

  take(step: Step): void {
    switch (step[0]) {
      case "pick":
        return this.#pick(step[1] ?? {});
      case "start":
        return this.#start(this.#find(step[1]));
      case "end":
        return this.#end(step[1], step[2] ?? "ok");
      case "wait":
        this.rehearsal.nowMs += step[1];
        return;
      case "join":
        return this.rehearsal.join(step[1]);
      case "leave":
        return this.#leave(this.#find(step[1]));
      case "health":
        return this.#changeHealth(this.#find(step[1]), step[2]);
    }
  }

  #pick({ attempt = 1, without = [], failOpen = false }: PickStep): void {
    const candidates = this.rehearsal.backends.filter(
      ({ id, health }) => health !== "unhealthy" && !without.includes(id),
    );
    // With nobody to pick from, the proxy answers without asking.
    if (candidates.length === 0) return;
    const { backend, fallback } = this.rehearsal.pick(candidates, { attempt, failOpen });
    this.picks.push(fallback ? "(fault)" : (backend?.id ?? "-"));
    if (backend !== null) this.#running.push(this.rehearsal.start(backend, attempt));
  }

  #start(backend: Backend | undefined): void {
    if (backend !== undefined) this.#running.push(this.rehearsal.start(backend));
  }

  #end(index: number, outcome: Outcome): void {
    const [attempt] = this.#running.splice(index, 1);
    if (attempt !== undefined) this.rehearsal.end(attempt, outcome);
  }

  #leave(backend: Backend | undefined): void {
    if (backend === undefined) return;
    this.rehearsal.setBackends(this.rehearsal.backends.filter((one) => one !== backend));
  }

  #changeHealth(backend: Backend | undefined, to: Health): void {
    if (backend !== undefined && backend.health !== to) this.rehearsal.changeHealth(backend, to);
  }

  #find(id: string): Backend | undefined {
    return this.rehearsal.backends.find((backend) => backend.id === id);
  }
}
