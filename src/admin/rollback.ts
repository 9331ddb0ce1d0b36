import { ConfigError, RuntimeError } from "../errors.ts";
import type { AdminFacts } from "./facts.ts";
import { noPool, problem } from "./problem-answer.ts";

/** `POST /api/v1/pools/:pool/rollback`. */
export async function rollBack(facts: AdminFacts, pool: string): Promise<Response> {
  try {
    const report = await facts.rollBack(pool);
    return report === null ? await noPool(facts, pool) : Response.json(report);
  } catch (error) {
    if (error instanceof ConfigError) {
      const reasons = error.problems.map(({ path, message }) => `${path}: ${message}`);
      return problem(422, `not rolled back: ${reasons.join("; ")}`);
    }
    if (error instanceof RuntimeError) return problem(409, error.message);
    throw error;
  }
}
