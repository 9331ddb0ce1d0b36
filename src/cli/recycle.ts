import { defineCommand } from "citty";
import type { WorkerStatus } from "../admin/facts.ts";
import { RuntimeError } from "../errors.ts";
import { adminArgs, readAdminTarget } from "./admin-flags.ts";

/** One worker after the other, and each may take as long as `shutdown.grace`. */
const TIMEOUT_MS = 24 * 60 * 60 * 1000;

export default defineCommand({
  meta: { name: "recycle", description: "Replace the workers one by one" },
  args: { ...adminArgs, json: { type: "boolean", description: "Print the new workers as JSON" } },
  async run({ args }) {
    const { askAdmin } = await import("../admin/client.ts");
    const target = await readAdminTarget(args);
    const question = { method: "POST", timeoutMs: TIMEOUT_MS } as const;
    const workers = await askAdmin(target, "/api/v1/recycle", question);
    if (!Array.isArray(workers)) {
      throw new RuntimeError("whoever answers there is no admin API of leastwise");
    }
    const text = args.json ? JSON.stringify(workers, null, 2) : describe(workers as WorkerStatus[]);
    process.stdout.write(`${text}\n`);
  },
});

function describe(workers: readonly WorkerStatus[]): string {
  return workers.map((worker) => SENTENCES[worker.state](worker)).join("\n");
}

const SENTENCES: Readonly<Record<WorkerStatus["state"], (worker: WorkerStatus) => string>> = {
  serving: ({ id, pid }) => `worker ${id} is process ${pid} now`,
  // It had died, and is replaced as it is.
  starting: ({ id }) => `worker ${id} is being started`,
  stopping: ({ id, pid }) => `process ${pid}, worker ${id} before, finishes what it has`,
};
