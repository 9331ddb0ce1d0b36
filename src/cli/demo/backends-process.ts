import { RuntimeError } from "../../errors.ts";
import { selfCommand } from "../../process/self.ts";
import { orAborted } from "./abort.ts";
import type { BackendsMessage, RunningBackend } from "./backends.ts";
import type { Scenario } from "./scenario.ts";

export interface BackendsProcess {
  readonly backends: readonly RunningBackend[];
  /** The process that is ended with SIGTERM should this one die without stopping it. */
  guard(pid: number): void;
  stop(): Promise<void>;
}

/** Starts all backends of the scenario in one process of their own. */
export async function startBackends(
  scenario: Scenario,
  signal: AbortSignal,
): Promise<BackendsProcess> {
  const running = Promise.withResolvers<readonly RunningBackend[]>();
  const child = Bun.spawn(selfCommand(["__demo-backends"]), {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "inherit",
    serialization: "advanced",
    ipc(message: "ready" | readonly RunningBackend[], subprocess) {
      if (message === "ready") subprocess.send({ scenario } satisfies BackendsMessage);
      else running.resolve(message);
    },
    onExit(_, code) {
      running.reject(new RuntimeError(`the demo's backends ended with exit code ${code}`));
    },
  });
  // When the process ends later, nobody waits for this promise any more.
  running.promise.catch(() => {});

  async function stop(): Promise<void> {
    child.kill("SIGKILL");
    await child.exited;
  }

  function guard(pid: number): void {
    child.send({ guard: pid } satisfies BackendsMessage);
  }

  try {
    return { backends: await orAborted(running.promise, signal), guard, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
