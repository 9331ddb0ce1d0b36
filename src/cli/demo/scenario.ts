/** The two sorts of backend that the demo starts. */
export type BackendKind = "normal" | "degraded";

export interface BackendGroup {
  readonly kind: BackendKind;
  readonly count: number;
  /** Requests that one backend works on at the same time. */
  readonly slots: number;
}

/** A stretch of time with a constant mean rate. */
export interface Phase {
  readonly name: "baseline" | "spike";
  /** Requests per second, the mean of a Poisson process. */
  readonly rate: number;
  readonly durationMs: number;
}

/** What is run, complete: two runs of equal scenarios differ only by what is under test. */
export interface Scenario {
  readonly seed: number;
  readonly phases: readonly Phase[];
  readonly backends: readonly BackendGroup[];
  readonly service: { readonly meanMs: number; readonly stages: number };
  /** Requests that one backend lets wait; the next one is answered 502 at once. */
  readonly maxWaiting: number;
}

export interface ScenarioOptions {
  readonly seed: number;
  readonly baselineMs: number;
  readonly spikeMs: number;
}

/**
 * A launch day: load nearly triples while three of ten backends have lost most of their capacity.
 * Calibrated so that an equal share (85 requests/s) is more than a degraded backend can serve
 * (6 slots / 100 ms = 60 requests/s) while the ten together could serve 1300.
 */
export function createLaunchScenario(options: ScenarioOptions): Scenario {
  return {
    seed: options.seed,
    phases: [
      { name: "baseline", rate: 300, durationMs: options.baselineMs },
      { name: "spike", rate: 850, durationMs: options.spikeMs },
    ],
    backends: [
      { kind: "normal", count: 7, slots: 16 },
      { kind: "degraded", count: 3, slots: 6 },
    ],
    service: { meanMs: 100, stages: 32 },
    maxWaiting: 140,
  };
}

/** `normal-1`, `normal-2`, …, `degraded-1`: the name a backend puts into its answers. */
export function backendName(kind: BackendKind, index: number): string {
  return `${kind}-${index + 1}`;
}

/** The kind that a backend's name tells; null for a name that is none of ours. */
export function kindOfBackend(name: string): BackendKind | null {
  const kind = name.slice(0, name.lastIndexOf("-"));
  return kind === "normal" || kind === "degraded" ? kind : null;
}

/** Requests per second that a group can serve when it is never idle. */
export function groupCapacity(group: BackendGroup, scenario: Scenario): number {
  return (group.count * group.slots * 1000) / scenario.service.meanMs;
}

/** Header by which a backend names itself, so that its share can be counted by the client. */
export const BACKEND_HEADER = "x-demo-backend";
