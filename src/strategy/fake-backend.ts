import type { Backend, Health } from "../plugin.ts";
import type { FakeBackendChange, FakeBackendSpec } from "../testing-api.ts";

interface State {
  weight: number;
  labels: Readonly<Record<string, string>>;
  health: Health;
  draining: boolean;
  inFlight: number;
}

let stateOf: (backend: FakeBackend) => State;

/** A backend of nobody's: as closed to strategies as a real one, open to tests by `changeBackend`. */
export class FakeBackend implements Backend {
  readonly id: string;
  readonly url: string;
  readonly #state: State;

  constructor(spec: FakeBackendSpec & { readonly id: string }) {
    this.id = spec.id;
    this.url = spec.url ?? `http://${spec.id}.test`;
    this.#state = {
      weight: spec.weight ?? 1,
      labels: Object.freeze({ ...spec.labels }),
      health: spec.health ?? "unknown",
      draining: spec.draining ?? false,
      inFlight: spec.inFlight ?? 0,
    };
    Object.freeze(this);
  }

  get weight(): number {
    return this.#state.weight;
  }

  get labels(): Readonly<Record<string, string>> {
    return this.#state.labels;
  }

  get health(): Health {
    return this.#state.health;
  }

  get draining(): boolean {
    return this.#state.draining;
  }

  get inFlight(): number {
    return this.#state.inFlight;
  }

  static {
    stateOf = (backend) => backend.#state;
    Object.freeze(FakeBackend.prototype);
  }
}

/** Not a method: strategies hold the object. */
export function changeBackend(backend: FakeBackend, change: FakeBackendChange): void {
  const state = stateOf(backend);
  const { labels, ...rest } = change;
  Object.assign(state, rest);
  if (labels !== undefined) state.labels = Object.freeze({ ...labels });
}

export function addInFlight(backend: FakeBackend, difference: number): void {
  stateOf(backend).inFlight += difference;
}
