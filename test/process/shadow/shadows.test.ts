import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { BackendStatus } from "../../../src/admin/facts.ts";
import type { StrategyConfig } from "../../../src/config/config.ts";
import { openSharedMemory } from "../../../src/pool/shared-memory.ts";
import type { ChildEvents } from "../../../src/process/child-process.ts";
import type { PlannedStrategy } from "../../../src/process/messages.ts";
import type { ShadowSetup, ToShadow } from "../../../src/process/shadow/messages.ts";
import { ShadowMemory } from "../../../src/process/shadow/shadow-memory.ts";
import { type ShadowedPool, Shadows } from "../../../src/process/shadow/shadows.ts";
import { backendConfig, poolConfig } from "../../_support/pools.ts";
import { RecordedLog } from "../../_support/recorded-log.ts";
import { VirtualClock } from "../../_support/virtual-clock.ts";

interface Played {
  readonly events: ChildEvents;
  readonly told: ToShadow[];
  killed: boolean;
}

let clock: VirtualClock;
let processes: Played[];
let filesFail: boolean;
let shadows: Shadows;

beforeEach(() => {
  clock = new VirtualClock();
  processes = [];
  filesFail = false;
  shadows = new Shadows({
    columns: 1,
    version: "1.0.0",
    spawn(events) {
      const played: Played = { events, told: [], killed: false };
      processes.push(played);
      return {
        pid: processes.length,
        send: (message) => void played.told.push(message),
        kill: () => {
          played.killed = true;
        },
      };
    },
    beforeSpawn() {
      if (filesFail) throw new Error("the folder is not ours any more");
    },
    usages: { memoryOf: () => null, cpuOf: () => null },
    limits: () => ({ watchdogMs: 1000, workerMemoryBytes: 1 << 30 }),
    now: clock.now,
    random: () => 0.5,
    schedule: clock.schedule,
    log: new RecordedLog(),
    onGone() {},
  });
});

afterEach(() => shadows.stop());

const builtIn = (name: string): PlannedStrategy => ({
  module: { kind: "built-in", name },
  description: { name, version: "1", source: "built-in" },
});

function backend(id: string, change: Partial<BackendStatus> = {}): BackendStatus {
  return {
    id,
    url: `http://${id}`,
    weight: 1,
    effectiveWeight: 1,
    backup: false,
    labels: {},
    health: "healthy",
    ejectedUntil: null,
    draining: false,
    inFlight: 0,
    requests: 0,
    failures: 0,
    connections: { open: 0, idle: 0 },
    ...change,
  };
}

function pool(
  names: readonly (string | { readonly name: string; readonly options: unknown })[],
  change: { name?: string; acting?: string; backends?: readonly BackendStatus[] } = {},
): ShadowedPool {
  const { name = "web", acting = "random", backends = [backend("a"), backend("b")] } = change;
  const shadow = names.map((each): StrategyConfig =>
    typeof each === "string" ? { kind: "built-in", name: each } : { kind: "built-in", ...each },
  );
  const strategy = { kind: "built-in", name: acting } as const;
  const config = poolConfig(
    backends.map(({ id }) => backendConfig(id)),
    { name, shadow, strategy },
  );
  const shadowed = shadow.map((each) => builtIn(each.kind === "built-in" ? each.name : ""));
  return { config, acting: builtIn(acting), shadows: shadowed, backends };
}

/** A plan comes into force, and everything that it starts comes up. */
function apply(...pools: ShadowedPool[]): void {
  shadows.planFor(pools.map(({ config }) => config));
  const before = processes.length;
  shadows.update(pools);
  for (const { events } of processes.slice(before)) {
    events.onMessage({ type: "started", version: "1.0.0" });
    events.onMessage({ type: "running" });
  }
}

function setupOf({ told }: Played): ShadowSetup {
  const [first] = told;
  if (first?.type !== "setup") throw new Error("it was not set up");
  return first.setup;
}

function killed(): number[] {
  return processes.flatMap((each, index) => (each.killed ? [index] : []));
}

test("without shadows nothing is made, and a plan says nothing of them", () => {
  apply(pool([]));
  expect(shadows.planFor([pool([]).config])).toBeNull();
  expect(processes).toEqual([]);
  expect(clock.pending).toBe(0);
});

test("workers are told to tell only while somebody listens", () => {
  const web = pool(["p2c", "round-robin"]);
  const plan = shadows.planFor([web.config]);
  const memory = new ShadowMemory(openSharedMemory(plan?.handle ?? ""));
  expect(memory.listeners).toBe(0);
  apply(web);
  expect(memory.listeners).toBe(2);
  processes[0]?.events.onMessage({ type: "stopped", reason: "enough", figures: null });
  expect(memory.listeners).toBe(1);
  // Killed: the next one comes at once.
  processes[1]?.events.onExit({ code: null, signal: "SIGKILL" });
  expect(memory.listeners).toBe(1);
  apply(pool([]));
  expect(memory.listeners).toBe(0);
});

describe("after a reload", () => {
  test("whoever compares the same goes on, at another place too", async () => {
    apply(pool(["p2c", "round-robin"]));
    apply(pool(["random", "p2c"]));
    expect(processes).toHaveLength(3);
    expect(killed()).toEqual([1]);
    const asked = shadows.status();
    // Nobody answers.
    await clock.pass(500);
    const { web } = await asked;
    expect(web?.map(({ name, pid }) => [name, pid])).toEqual([
      ["random", 3],
      ["p2c", 1],
    ]);
  });

  test.each([
    ["other options", pool([{ name: "p2c", options: { choices: 3 } }])],
    ["another strategy that acts", pool(["p2c"], { acting: "round-robin" })],
    ["another pool", pool(["p2c"], { name: "api" })],
  ])("%s are another comparison", (_, next) => {
    apply(pool(["p2c"]));
    apply(next);
    expect(killed()).toEqual([0]);
    expect(processes).toHaveLength(2);
    expect(setupOf(processes[1] as Played)).toMatchObject({ pool: next.config.name, index: 0 });
  });

  test("one that has stopped is not started again by the same version", () => {
    apply(pool(["p2c"]));
    processes[0]?.events.onMessage({ type: "stopped", reason: "looped", figures: null });
    apply(pool(["p2c"]));
    expect(processes).toHaveLength(1);
    apply(pool([{ name: "p2c", options: { choices: 3 } }]));
    expect(processes).toHaveLength(2);
  });

  test("as many others as there may be have slots of their own, again and again", () => {
    for (let round = 0; round < 5; round++) {
      const before = processes.length;
      const options = { round };
      apply(pool(Array.from({ length: 16 }, () => ({ name: "p2c", options }))));
      const slots = processes.slice(before).map((each) => setupOf(each).slot);
      expect(new Set(slots).size).toBe(16);
    }
    expect(killed()).toHaveLength(64);
  });

  test("a report is about the backends that the pool has by then", async () => {
    apply(pool(["p2c"]));
    apply(pool(["p2c"], { backends: [backend("b"), backend("c")] }));
    const status = shadows.status();
    const id = processes[0]?.told
      .flatMap((each) => (each.type === "report" ? [each.id] : []))
      .at(-1);
    const side = { requests: 0, share: null, inFlight: { now: 0, mean: 0, max: 0 } };
    const backends = ["a", "b", "c"].map((each) => ({ id: each, shadow: side, acting: side }));
    const counts = { picks: 0, agreed: 0, refused: 0, fallbacks: 0, faults: 0, dropped: 0 };
    const figures = { ...counts, agreement: null, pickMs: null, backends };
    processes[0]?.events.onMessage({ type: "report", id, figures });
    expect((await status)["web"]?.[0]?.figures?.backends.map((each) => each.id)).toEqual([
      "b",
      "c",
    ]);
  });

  test("other backends are told, the same ones are not", () => {
    apply(pool(["p2c"]));
    apply(pool(["p2c"]));
    expect(processes[0]?.told).toHaveLength(1);
    apply(pool(["p2c"], { backends: [backend("a", { effectiveWeight: 2 })] }));
    expect(processes[0]?.told.at(-1)).toMatchObject({
      type: "backends",
      backends: [{ id: "a", weight: 2 }],
    });
  });
});

test("news of a pool reaches its own shadows, and those of their processes that come later", async () => {
  apply(pool(["p2c"]), pool(["p2c"], { name: "api" }));
  shadows.healthChanged("web", "a", "unhealthy");
  shadows.setDraining("web", "b", true);
  shadows.workerEnded(0);
  const [web, api] = processes;
  expect(web?.told.slice(1)).toEqual([
    { type: "health", id: "a", to: "unhealthy" },
    { type: "draining", id: "b", draining: true },
    { type: "workerEnded", column: 0 },
  ]);
  expect(api?.told.slice(1)).toEqual([{ type: "workerEnded", column: 0 }]);
  web?.events.onExit({ code: null, signal: "SIGKILL" });
  await clock.pass(100);
  const next = processes[2] as Played;
  next.events.onMessage({ type: "started", version: "1.0.0" });
  expect(setupOf(next).backends).toMatchObject([
    { id: "a", health: "unhealthy", draining: false },
    { id: "b", health: "healthy", draining: true },
  ]);
});

test("a folder of strategies that is gone keeps a shadow waiting, and nobody else", async () => {
  filesFail = true;
  apply(pool(["p2c"]));
  const { web } = await shadows.status();
  expect(web).toMatchObject([
    {
      state: "restarting",
      reason: "no process can be started: the folder is not ours any more",
      pid: null,
      figures: null,
    },
  ]);
  filesFail = false;
  await clock.pass(100);
  expect(processes).toHaveLength(1);
});

test("a stop ends all at once, and nothing comes after it", async () => {
  apply(pool(["p2c", "random"]));
  processes[0]?.events.onExit({ code: null, signal: "SIGKILL" });
  shadows.stop();
  expect(killed()).toEqual([1]);
  await clock.pass(60_000);
  expect(processes).toHaveLength(2);
  expect(clock.pending).toBe(0);
});
