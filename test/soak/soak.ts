/** The run: clients without a pause, one disturbance after the other, and a look at everything each minute. */
import { DISTURBANCES, drawDisturbance, until } from "./disturbances.ts";
import { GrowthWatch } from "./growth.ts";
import { MemorySamples } from "./memory-samples.ts";
import { isCalm } from "./phase.ts";
import { sampleProcess } from "./processes.ts";
import { soakBytes } from "./soak-backend.ts";
import { SoakClient, type SoakEnd } from "./soak-client.ts";
import type { SoakMinute } from "./soak-minute.ts";
import type { SoakStage } from "./soak-stage.ts";

/** Half of them keep their connections. */
const CLIENTS = 16;
const MINUTE_MS = 60_000;
/** Failures are explained by what was done so long before. */
const MEMORY_MS = 60_000;
/** Between two disturbances, at most. */
const REST_MS = 2000;
/** A connection that is lost may be noticed a moment after its cause is over. */
const AFTERMATH_MS = 500;
const MOST_FINDINGS = 20;

interface Spell {
  readonly name: string;
  readonly fromMs: number;
  toMs: number;
}

export interface SoakOptions {
  readonly stage: SoakStage;
  readonly minutes: number;
  /** For tests, which cannot wait so long. Default: a minute. */
  readonly minuteMs?: number;
  /** Without which no minute is over, as long as it takes: what workers do in one is then the same on every machine. */
  readonly minuteRequests?: number;
  readonly random: () => number;
  readonly onMinute: (minute: SoakMinute) => void;
}

export class Soak {
  /** What nothing explains. Empty: passed. */
  readonly findings: string[] = [];
  readonly #options: SoakOptions;
  /** Those that may still explain something. */
  #spells: Spell[] = [];
  #requests = 0;
  #failures = new Map<string, number>();
  #disturbances = new Map<string, number>();
  #killed = 0;
  /** Clients go on while this is resolved. */
  #gate = Promise.withResolvers<void>();
  #stopped = false;

  constructor(options: SoakOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    const { stage, minutes, minuteMs = MINUTE_MS, random, onMinute } = this.#options;
    const bytes = soakBytes();
    this.#gate.resolve();
    const goesOn = async (): Promise<boolean> => {
      await this.#gate.promise;
      return !this.#stopped;
    };
    const clients = Array.from({ length: CLIENTS }, (_, index) => {
      const onEnd = (end: SoakEnd): void => this.#ended(end);
      const keepAlive = index % 2 === 0;
      return new SoakClient({ port: stage.proxy.port, bytes, keepAlive, random, onEnd }).run(
        goesOn,
      );
    });
    const growth = new GrowthWatch();
    const memory = new MemorySamples(minuteMs);
    for (let minute = 1; minute <= minutes; minute++) {
      const calm = isCalm(minute, minutes);
      // Workers with nothing of earlier versions, which would be replaced in the midst of it.
      if (calm && !isCalm(minute - 1, minutes)) await this.#do("recycle");
      memory.watch((await stage.serving()).map(({ pid }) => pid));
      await this.#disturb(performance.now() + minuteMs, calm);
      const taken = await this.#take(minute, memory);
      // Told however many requests failed: a leak must not hide behind them.
      this.findings.push(...growth.add(taken));
      onMinute(taken);
    }
    memory.stop();
    this.#stopped = true;
    this.#gate.resolve();
    await Promise.all(clients);
    this.findings.push(...growth.end());
    this.#checkDeaths();
  }

  #note(...findings: string[]): void {
    this.findings.push(...findings.slice(0, Math.max(0, MOST_FINDINGS - this.findings.length)));
  }

  #ended(end: SoakEnd): void {
    this.#requests++;
    const { failure } = end;
    if (failure === null) return;
    const spell = this.#spells.find(
      ({ name, fromMs, toMs }) =>
        fromMs <= end.endedMs &&
        toMs + AFTERMATH_MS >= end.startedMs &&
        DISTURBANCES[name]?.explains(end),
    );
    const label = `${failure} (${spell?.name ?? "unexplained"})`;
    this.#failures.set(label, (this.#failures.get(label) ?? 0) + 1);
    if (spell !== undefined) return;
    const last = this.#spells.at(-1);
    const after = last === undefined ? "nothing" : `${last.name} (${describe(last, end)})`;
    this.#note(
      `a request ended with: ${failure}${end.reused ? ", reused connection" : ""}; ${after}`,
    );
  }

  async #disturb(untilMs: number, calm: boolean): Promise<void> {
    const { random, minuteRequests = 0 } = this.#options;
    while (performance.now() < untilMs || this.#requests < minuteRequests) {
      await this.#do(drawDisturbance(random, calm));
      await Bun.sleep(Math.min(random() * REST_MS, Math.max(0, untilMs - performance.now())));
    }
  }

  async #do(name: string): Promise<void> {
    const { stage, random } = this.#options;
    const fromMs = performance.now();
    const spell = { name, fromMs, toMs: Number.POSITIVE_INFINITY };
    this.#spells = [...this.#spells.filter(({ toMs }) => toMs > fromMs - MEMORY_MS), spell];
    if (name === "worker kill" || name === "loop") this.#killed++;
    this.#disturbances.set(name, (this.#disturbances.get(name) ?? 0) + 1);
    try {
      await DISTURBANCES[name]?.run(stage, random);
    } catch (error) {
      this.#note(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
    spell.toMs = performance.now();
  }

  /** Holds the clients back until nothing is in flight, and looks. */
  async #take(minute: number, memory: MemorySamples): Promise<SoakMinute> {
    const { stage, minutes } = this.#options;
    this.#gate = Promise.withResolvers<void>();
    try {
      await until("every count is back at 0", async () => {
        const [pool, workers] = await Promise.all([stage.pool(), stage.proxy.workers()]);
        return (
          pool.backends.every(
            ({ inFlight, connections }) => inFlight === 0 && connections.open === connections.idle,
          ) && workers.every(({ pendingRequests }) => pendingRequests === 0)
        );
      });
    } catch (error) {
      const view = JSON.stringify([await stage.proxy.pools(), await stage.proxy.workers()]);
      this.#note(`minute ${minute}: ${error instanceof Error ? error.message : error}: ${view}`);
    }
    const { backends, strategy } = await stage.pool();
    const sum = (of: (backend: (typeof backends)[number]) => number): number =>
      backends.reduce((total, backend) => total + of(backend), 0);
    const serving = await stage.serving();
    const clients = serving.reduce((total, each) => total + (each.clientConnections ?? 0), 0);
    const idle = sum(({ connections }) => connections.idle);
    const pids = [stage.proxy.pid, ...serving.map(({ pid }) => pid)];
    const [master, ...workers] = pids.map(sampleProcess);
    if (!master) throw new Error("the master is gone");
    if (strategy.quarantined || strategy.faults > 0) {
      this.#note(`minute ${minute}: the strategy has ${strategy.faults} faults`);
    }
    const taken = {
      minute,
      calm: isCalm(minute, minutes),
      requests: this.#requests,
      failures: this.#failures,
      disturbances: this.#disturbances,
      master,
      workers: workers
        .filter((worker) => worker !== null)
        .map((worker) => ({ ...worker, rssBytes: memory.median(worker.pid) ?? worker.rssBytes })),
      connections: clients + idle,
      counters: {
        "in flight": sum(({ inFlight }) => inFlight),
        attempts: sum(({ requests }) => requests),
        "failed attempts": sum(({ failures }) => failures),
        "idle connections": idle,
        "client connections": clients,
      },
    };
    this.#requests = 0;
    this.#failures = new Map();
    this.#disturbances = new Map();
    this.#gate.resolve();
    return taken;
  }

  /** Workers die when the soak kills them or makes them loop, and only then. */
  #checkDeaths(): void {
    const { deaths, lastDeath, findings } = this.#options.stage.log;
    if (deaths !== this.#killed) {
      this.#note(`${deaths} workers died, ${this.#killed} were to: ${lastDeath}`);
    }
    this.#note(...[...findings.values()].map((line) => `the log says: ${line}`));
  }
}

function describe({ fromMs, toMs }: Spell, { startedMs, endedMs }: SoakEnd): string {
  const over = Number.isFinite(toMs) ? `, over after ${Math.round(toMs - fromMs)} ms` : "";
  return `began ${Math.round(startedMs - fromMs)} ms after it, ended ${Math.round(endedMs - fromMs)} ms after it${over}`;
}
