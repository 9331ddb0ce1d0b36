import { didYouMean } from "../config/suggest.ts";
import type { AdminFacts } from "./facts.ts";

/** What the API answers when it does not do what was asked. */
export function problem(status: number, message: string): Response {
  return Response.json({ error: { message } }, { status });
}

/** Who asks for a pool that there is not is told which there are. */
export async function noPool(facts: AdminFacts, pool: string): Promise<Response> {
  const names = (await facts.pools()).map(({ name }) => name);
  const hint = didYouMean(pool, names);
  return problem(404, `no pool ${JSON.stringify(pool)}, there is ${names.join(", ")}${hint}`);
}
