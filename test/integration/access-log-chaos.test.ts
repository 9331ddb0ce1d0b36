/** Whatever goes wrong: each request has exactly one line, and that says how it ended. */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRandom } from "../../src/strategy/random.ts";
import { type AccessLine, accessLines } from "../_support/access-log.ts";
import { type ChaosResult, sendChaos } from "../_support/chaos-client.ts";
import { type ChaosPlan, drawPlan, reply } from "../_support/chaos-plan.ts";
import { useHarness } from "../_support/harness.ts";
import { isQuiet } from "../_support/proxy.ts";

const SEED = 20_261_122;
const REQUESTS = 3000;
const CLIENTS = 24;

const { backend, deadBackend, proxy } = useHarness();

test("each request of thousands has exactly one line, with the cause of its end", async () => {
  const random = createRandom(SEED);
  const plans = Array.from({ length: REQUESTS }, (_, id) => drawPlan(random, id));
  const folder = mkdtempSync(join(tmpdir(), "leastwise-test-"));
  const file = join(folder, "access.log");
  try {
    const backends = Array.from({ length: 3 }, () =>
      backend((request) => reply(plans[Number(request.target.slice(1))] as ChaosPlan)),
    );
    const front = await proxy({
      config: {
        workers: 2,
        pools: {
          web: {
            backends: [...backends, deadBackend()].map(({ url }) => url),
            health: false,
            ejection: false,
            retry: { on: ["connect", "reset", "503"], budget: 1 },
            timeouts: { firstByte: "500ms" },
          },
        },
        accessLog: { file, log: "all" },
      },
    });
    const results = new Map<number, ChaosResult>();
    let next = 0;
    const client = async (): Promise<void> => {
      for (let plan = plans[next++]; plan !== undefined; plan = plans[next++]) {
        results.set(plan.id, await sendChaos(front.port, plan));
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    await front.until("nothing in flight", isQuiet);
    expect(await front.stop()).toBe(0);

    const lines = new Map<number, AccessLine[]>();
    for (const line of accessLines(readFileSync(file, "utf8"))) {
      const id = Number(line.path.slice(1));
      lines.set(id, [...(lines.get(id) ?? []), line]);
    }
    const findings: string[] = [];
    const ends: Record<string, number> = {};
    const causes = new Set<string>();
    for (const plan of plans) {
      const result = results.get(plan.id) as ChaosResult;
      ends[result.end] = (ends[result.end] ?? 0) + 1;
      const found = lines.get(plan.id) ?? [];
      for (const { endedBy, phase } of found) causes.add(`${endedBy}/${phase}`);
      // What a client broke off within the head was no request.
      const none = found.length === 0 && plan.abort?.during === "request";
      if (none || (found.length === 1 && tells(found[0] as AccessLine, plan, result))) continue;
      findings.push(`${result.end} (${result.status}): ${JSON.stringify(found)}`);
    }
    expect(findings).toEqual([]);
    // Else this was no chaos: each way must have been seen.
    for (const end of ["complete", "broken", "rejected", "timeout", "aborted"]) {
      expect([end, ends[end] ?? 0]).not.toEqual([end, 0]);
    }
    for (const cause of [
      "client/head",
      "client/body",
      "backend/head",
      "backend/body",
      "backend/done",
    ]) {
      expect(causes).toContain(cause);
    }
    expect(Object.values(ends).reduce((sum, count) => sum + count, 0)).toBe(REQUESTS);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 120_000);

/** Whether the line says what the client saw. */
function tells(line: AccessLine, plan: ChaosPlan, { end, status, body }: ChaosResult): boolean {
  const { phase, endedBy, error } = line;
  if (line["method"] !== plan.method) return false;
  switch (end) {
    case "complete":
      return (
        phase === "done" &&
        error === null &&
        endedBy === "backend" &&
        line.status === status &&
        line["responseBytes"] === body.length
      );
    case "broken":
      // The client may not have seen the head of what broke.
      return (
        phase === "body" &&
        error !== null &&
        endedBy === "backend" &&
        line.status === (status ?? plan.status)
      );
    case "rejected":
    case "timeout":
      return phase === "head" && error !== null && line.status === status;
    case "aborted":
      // The answer may have been on its way, whole or broken, when the client left.
      if (error === null) return phase === "done";
      return error === "client_gone" ? endedBy === "client" : plan.fault !== null;
    default:
      return false;
  }
}
