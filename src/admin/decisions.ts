import type { AdminFacts } from "./facts.ts";
import { noPool, problem } from "./problem-answer.ts";

const DEFAULT_LIMIT = 100;
const MOST = 1000;
const PARAMETERS = ["pool", "trace", "limit"];

/** `GET /api/v1/decisions`: decisions of the last requests, as they were made. */
export async function answerDecisions(facts: AdminFacts, request: Request): Promise<Response> {
  const asked = new URL(request.url).searchParams;
  for (const [name] of asked) {
    if (!PARAMETERS.includes(name)) {
      return problem(400, `${name} is no parameter here; there are ${PARAMETERS.join(", ")}`);
    }
  }
  const limit = asked.get("limit");
  if (limit !== null && !(/^\d{1,4}$/.test(limit) && Number(limit) >= 1 && Number(limit) <= MOST)) {
    return problem(400, `limit: found ${JSON.stringify(limit)}, allowed 1 to ${MOST}`);
  }
  const traceId = asked.get("trace")?.toLowerCase() ?? null;
  if (traceId !== null && !/^[0-9a-f]{32}$/.test(traceId)) {
    return problem(400, `trace: found ${JSON.stringify(traceId)}, allowed 32 hex digits`);
  }
  const pool = asked.get("pool");
  const query = { pool, traceId, limit: Number(limit ?? DEFAULT_LIMIT) };
  const decisions = await facts.decisions(query);
  if (decisions === null) return await noPool(facts, pool ?? "");
  return Response.json(decisions);
}
