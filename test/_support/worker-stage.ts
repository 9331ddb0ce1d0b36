import type { FromWorker, Plan } from "../../src/process/messages.ts";
import type { ProcessUsages } from "../../src/process/process-usage.ts";
import { WorkerGroup } from "../../src/process/worker-group.ts";
import { FakeWorkers } from "./fake-worker.ts";
import { RecordedLog } from "./recorded-log.ts";
import { noTls, service, telemetryConfig } from "./telemetry-config.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** A group of workers that a test plays, in a time that passes when the test says so. */
export class WorkerStage {
  readonly clock = new VirtualClock();
  readonly workers = new FakeWorkers();
  readonly log = new RecordedLog();
  /** Columns whose metrics are about much that is gone. */
  readonly outgrown = new Set<number>();
  /** Columns of those that ended. */
  readonly exits: number[] = [];
  readonly facts: FromWorker[] = [];
  /** By pid, in which state a worker is that does not sleep. */
  readonly states = new Map<number, string>();
  /** By pid, what is known of a worker's end. */
  readonly causes = new Map<number, string>();
  /** For what runs in a worker that is recycled. */
  graceMs = 1000;
  beforePrepare = (): void => {};

  group(count = 2): WorkerGroup {
    const { clock, workers, log } = this;
    const usages: ProcessUsages = {
      memoryOf: (pid) => ({ bytes: 0, state: this.states.get(pid) ?? "S" }),
      cpuOf: () => 0,
    };
    return new WorkerGroup({
      count,
      counters: { handle: "", shape: { rows: 1, workers: count + 1 }, censusKey: "key" },
      version: "1.0.0",
      spawn: workers.spawn,
      beforePrepare: () => this.beforePrepare(),
      onMessage: (message) => void this.facts.push(message),
      conditionsOf: () => ({}),
      onExit: ({ column, pid }) => {
        this.exits.push(column);
        return this.causes.get(pid) ?? null;
      },
      outgrown: (column) => this.outgrown.has(column),
      graceMs: () => this.graceMs,
      usages,
      random: () => 0.5,
      instance: "a1b2c3d4",
      telemetry: { config: telemetryConfig(), service, tls: noTls },
      now: clock.now,
      schedule: clock.schedule,
      log,
    });
  }

  /** With plan 1 in force. */
  async started(count = 2): Promise<WorkerGroup> {
    const group = this.group(count);
    await group.apply(plan(1));
    return group;
  }
}

/** `bundle`: of its only pool's strategy. */
export function plan(generation: number, bundle?: string): Plan {
  const description = { name: "mine", version: "1", source: "mine.ts" };
  const module = { kind: "file", source: "mine.ts", path: bundle ?? "", version: "1" } as const;
  return {
    generation,
    config: {
      listen: [],
      pools: [],
      routes: [],
      trustedProxies: [],
      clientConnections: { max: null, maxPerAddress: null },
      accessLog: null,
      requestId: true,
    },
    rows: {},
    strategies: bundle === undefined ? {} : { web: { description, module } },
  };
}
