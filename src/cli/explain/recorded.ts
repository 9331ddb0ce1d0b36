import { existsSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { askAdmin, type AdminTarget } from "../../admin/client.ts";
import type { RecordedDecision } from "../../admin/recorded-decision.ts";
import type { PoolStatus } from "../../admin/facts.ts";
import { RuntimeError } from "../../errors.ts";
import { explainWhy } from "../../process/why.ts";
import { printable } from "../printable.ts";
import { withTempDir } from "../temp-dir.ts";
import { proveDecision } from "./decision-proof.ts";
import { renderDecisionTests } from "./decision-test.ts";
import { FAIL_OPEN, renderShown } from "./report.ts";

/** The decisions of a traced request, attempt by attempt. Throws RuntimeError when none is kept. */
export async function showDecisions(
  target: AdminTarget,
  traceId: string,
  json: boolean,
): Promise<string> {
  const decisions = await readDecisions(target, traceId);
  if (json) return `${JSON.stringify(decisions, null, 2)}\n`;
  return printable(`${decisions.map(renderDecision).join("\n\n")}\n`);
}

/**
 * The same as tests in a file of this folder, each tried before it is written.
 *
 * Throws RuntimeError when one would not pass, or there is a file of that name.
 */
export async function writeTests(
  target: AdminTarget,
  traceId: string,
  json: boolean,
): Promise<string> {
  const decisions = await readDecisions(target, traceId);
  const [{ pool }] = decisions as [RecordedDecision];
  const pools = (await askAdmin(target, "/api/v1/pools")) as PoolStatus[];
  const source = pools.find(({ name }) => name === pool)?.strategy.source ?? "built-in";
  if (source === "built-in") {
    const [{ strategy }] = decisions as [RecordedDecision];
    throw new RuntimeError(
      `${strategy.name} is built in: there is no file that a test could import`,
    );
  }
  if (!existsSync(source)) {
    throw new RuntimeError(`${source}, the strategy of pool ${pool}, is no file of this machine`);
  }
  const proofs = await withTempDir(async (tempDir) => {
    const all = [];
    for (const each of decisions) all.push(await proveDecision(target, each, source, tempDir));
    return all;
  });
  const name = basename(source).replace(/\.[cm]?[jt]s$/, "");
  const file = `${name}.decision-${traceId.slice(0, 8)}.test.ts`;
  const test = renderDecisionTests(proofs, { traceId, specifier: specifierOf(source) });
  write(file, test);
  const notes = [...new Set(proofs.flatMap(({ otherVersion }) => otherVersion ?? []))];
  if (json) return `${JSON.stringify({ file, test, notes }, null, 2)}\n`;
  const noted = notes.map((note) => `note: ${note}\n`).join("");
  return printable(`wrote ${file}\n${noted}next: leastwise plugin test ${file}\n`);
}

function renderDecision(decision: RecordedDecision): string {
  const { request, attempt, traceId, at, worker, pool, strategy, leftOut } = decision;
  const query = request.query === "" ? "" : `?${request.query}`;
  const notes: string[] = [];
  if (decision.failOpen) notes.push(FAIL_OPEN);
  if (leftOut > 0) notes.push(`${leftOut} more backends are not kept`);
  return [
    `attempt ${attempt} of trace ${traceId}, ${at}, worker ${worker}`,
    `${request.method} ${request.host}${request.path}${query}`,
    `pool ${pool}, strategy ${strategy.name} ${strategy.version}, picked in ${micros(decision.pickMs)}`,
    "",
    renderShown({ ...decision, why: whyOf(decision), notes }),
  ].join("\n");
}

function whyOf(decision: RecordedDecision): string {
  const { strategy, chosen, attempt } = decision;
  if (chosen === null && attempt > 1) {
    return `${strategy.name} refuses another attempt: the client gets what became of the one before`;
  }
  const pick = {
    ...decision,
    strategy: { ...strategy, source: "" },
    nobody: chosen === null ? "refused" : null,
    fault: null,
    shares: null,
    state: "none",
    excluded: [],
    otherWorkers: [],
  } as const;
  return explainWhy(pick, false);
}

function micros(ms: number): string {
  return `${Math.round(ms * 10_000) / 10} µs`;
}

async function readDecisions(target: AdminTarget, traceId: string): Promise<RecordedDecision[]> {
  const decisions = await askAdmin(target, `/api/v1/decisions?trace=${traceId}`);
  if (!Array.isArray(decisions)) {
    throw new RuntimeError("whoever answers there is no admin API of leastwise");
  }
  if (decisions.length === 0) {
    throw new RuntimeError(
      `no decision of trace ${traceId} is kept: each worker keeps the last 256 of each pool, and ids are known of sampled traces only`,
    );
  }
  return (decisions as RecordedDecision[]).toReversed();
}

/** As the test in this folder imports it. */
function specifierOf(source: string): string {
  const path = relative(process.cwd(), source).replaceAll("\\", "/");
  return path.startsWith("../") ? path : `./${path}`;
}

function write(file: string, text: string): void {
  try {
    writeFileSync(join(process.cwd(), file), text, { flag: "wx" });
  } catch (thrown) {
    const isThere = (thrown as { readonly code?: unknown }).code === "EEXIST";
    const reason = isThere ? "is there already, and nothing is overwritten" : String(thrown);
    throw new RuntimeError(`${file}: ${reason}`, { cause: thrown });
  }
}
