/** What `import … from "leastwise/testing"` gives; declared, and described, in `testing-api.ts`. */
import type { Attempt, Backend, StrategyPlugin } from "./plugin.ts";
import type {
  Completion,
  FakeBackendChange,
  FakeBackendSpec,
  FakeRequestSpec,
  PickStep,
  RehearsedPool,
  RehearseOptions,
} from "./testing-api.ts";
import { changeBackend, FakeBackend } from "./strategy/fake-backend.ts";
import { fakeRequest } from "./strategy/fake-request.ts";
import { type Pick } from "./strategy/host.ts";
import { Rehearsal, rehearsalOf } from "./strategy/rehearsal.ts";

export { fakeClock } from "./strategy/fake-clock.ts";
export { createRandom as seededRandom } from "./strategy/random.ts";
export { keepsPromise } from "./strategy/promises.ts";
export { strategySuite } from "./strategy/suite.ts";
/** Not declared: `plugin test` calls it, before it loads any test. */
export { makeSwitchable } from "./strategy/switchable-globals.ts";

export function fakeBackends(given: number | readonly FakeBackendSpec[]): readonly Backend[] {
  const specs = typeof given === "number" ? Array.from({ length: given }, () => ({})) : given;
  return specs.map((spec: FakeBackendSpec, index) => {
    return new FakeBackend({ ...spec, id: spec.id ?? `backend-${index + 1}` });
  });
}

export function rehearse(
  plugin: StrategyPlugin<unknown>,
  options: RehearseOptions = {},
): RehearsedPool {
  return new TestPool(plugin, options);
}

export function complete(attempt: Attempt, how: Completion = {}): void {
  const rehearsal = rehearsalOf(attempt);
  if (rehearsal === null) {
    throw new Error("complete was given an attempt that neither send nor start returned");
  }
  const { outcome, afterMs = 0, ...rest } = how;
  rehearsal.clock.advance(afterMs);
  withFaults(rehearsal, () => rehearsal.end(attempt, outcome, rest));
}

class TestPool implements RehearsedPool {
  readonly #rehearsal: Rehearsal;

  constructor(plugin: StrategyPlugin<unknown>, options: RehearseOptions) {
    const { backends = 3, seed, clock, previous } = options;
    this.#rehearsal = new Rehearsal({
      plugin,
      options: options.options,
      backends: asFakes(typeof backends === "number" ? fakeBackends(backends) : backends),
      ...(seed === undefined ? {} : { seed }),
      ...(clock === undefined ? {} : { clock }),
      previous: previous === undefined ? null : { name: plugin.name, snapshot: previous },
    });
    throwFirst(this.#rehearsal, 0);
  }

  get backends() {
    return this.#rehearsal.backends;
  }

  get clock() {
    return this.#rehearsal.clock;
  }

  pick(request?: FakeRequestSpec, how: PickStep = {}): Backend | null {
    const { attempt = 1, without = [], failOpen = false } = how;
    const candidates = this.backends.filter(
      ({ id, health, draining }) => health !== "unhealthy" && !draining && !without.includes(id),
    );
    if (candidates.length === 0) throw new Error("no backend is available: the proxy asks nobody");
    const context = { request: fakeRequest(request), attempt, failOpen };
    return withFaults(this.#rehearsal, (): Pick => this.#rehearsal.pick(candidates, context))
      .backend;
  }

  send(request?: FakeRequestSpec, how?: PickStep): Attempt {
    const backend = this.pick(request, how);
    if (backend === null) throw new Error("the strategy refused the request: pick returned null");
    return this.#start(backend, request, how?.attempt);
  }

  start(backend: Backend, request?: FakeRequestSpec): Attempt {
    return this.#start(backend, request);
  }

  change(backend: Backend, change: FakeBackendChange): void {
    const [fake] = asFakes([backend]);
    const { health, ...rest } = change;
    if (fake === undefined) return;
    withFaults(this.#rehearsal, () => {
      changeBackend(fake, rest);
      if (health !== undefined && health !== fake.health)
        this.#rehearsal.changeHealth(fake, health);
    });
  }

  setBackends(backends: readonly Backend[]): void {
    withFaults(this.#rehearsal, () => this.#rehearsal.setBackends(asFakes(backends)));
  }

  snapshot(): unknown {
    return withFaults(this.#rehearsal, () => this.#rehearsal.host.takeSnapshot());
  }

  dispose(): void {
    withFaults(this.#rehearsal, () => this.#rehearsal.host.dispose());
  }

  #start(backend: Backend, request?: FakeRequestSpec, number = 1): Attempt {
    const [fake] = asFakes([backend]) as [FakeBackend];
    return withFaults(this.#rehearsal, () =>
      this.#rehearsal.start(fake, number, fakeRequest(request)),
    );
  }
}

function asFakes(backends: readonly Backend[]): readonly FakeBackend[] {
  return backends.map((backend) => {
    if (backend instanceof FakeBackend) return backend;
    throw new TypeError("a backend is none of fakeBackends()");
  });
}

/** A test is about what a strategy does: that it faults is never what was expected of it. */
function withFaults<T>(rehearsal: Rehearsal, call: () => T): T {
  const before = rehearsal.faults.length;
  const result = call();
  throwFirst(rehearsal, before);
  return result;
}

function throwFirst(rehearsal: Rehearsal, from: number): void {
  const fault = rehearsal.faults[from];
  if (fault !== undefined) throw fault;
}
