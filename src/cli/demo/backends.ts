import { defineCommand } from "citty";
import { createRandom } from "../../strategy/random.ts";
import { erlang } from "./random.ts";
import { backendName, BACKEND_HEADER, type Scenario } from "./scenario.ts";
import { createServiceQueue, type QueueClock } from "./service-queue.ts";

/** A backend that listens. */
export interface RunningBackend {
  readonly name: string;
  /** For example `http://127.0.0.1:40123`. */
  readonly url: string;
}

/** The demo sends one scenario, and is answered with the running backends; then the proxy to guard. */
export type BackendsMessage = { readonly scenario: Scenario } | { readonly guard: number };

/**
 * The hidden sub-command `__demo-backends`: serves what the parent asks for over IPC until it is
 * killed. When the parent dies first, the channel closes, and the proxy that it started must not stay
 * behind: only a process that outlives the parent can end it.
 */
export default defineCommand({
  meta: { name: "__demo-backends", hidden: true },
  run() {
    let guarded: number | null = null;
    process.on("disconnect", () => {
      if (guarded !== null) endProcess(guarded);
      process.exit(0);
    });
    // Ctrl-C and a closed terminal reach the whole process group, but this process ends last.
    for (const signal of ["SIGINT", "SIGHUP"]) process.on(signal, () => {});
    process.on("message", (message: BackendsMessage) => {
      if ("guard" in message) guarded = message.guard;
      else process.send?.(serveBackends(message.scenario));
    });
    process.send?.("ready");
  },
});

const CLOCK: QueueClock = {
  now: () => performance.now(),
  at(time, run) {
    setTimeout(run, Math.max(0, time - performance.now()));
  },
};

/**
 * Starts the scenario's backends in this process, on free loopback ports. They run until the process
 * ends: the demo gives them a process of their own so that they take no time from its load generator.
 */
export function serveBackends(scenario: Scenario): readonly RunningBackend[] {
  const { service, maxWaiting } = scenario;
  const running: RunningBackend[] = [];
  for (const { kind, count, slots } of scenario.backends) {
    for (let index = 0; index < count; index++) {
      const name = backendName(kind, index);
      const random = createRandom(scenario.seed * 1000 + running.length);
      const queue = createServiceQueue({
        slots,
        maxWaiting,
        clock: CLOCK,
        serviceMs: () => erlang(random, service.stages, service.meanMs),
      });
      const headers = { [BACKEND_HEADER]: name };
      const server = Bun.serve({
        hostname: "127.0.0.1",
        port: 0,
        development: false,
        // A connection that the proxy keeps must not be closed under its hands.
        idleTimeout: 0,
        fetch: () => {
          const answer = Promise.withResolvers<Response>();
          const accepted = queue.submit(() => answer.resolve(new Response(name, { headers })));
          return accepted ? answer.promise : new Response("queue full", { status: 502, headers });
        },
      });
      running.push({ name, url: `http://127.0.0.1:${server.port}` });
    }
  }
  return running;
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, "SIGTERM");
  } catch {
    // It has ended by itself.
  }
}
