/** The admin API: JSON over HTTP, for operators and the command line. Answers from facts handed in. */
import type { AdminConfig } from "../config/config.ts";
import type { AdminFacts } from "./facts.ts";
import { refuse } from "./guard.ts";
import { problem } from "./problem-answer.ts";
import { accepts, findRoutes, routePaths } from "./routes.ts";

/** Throws what Bun.serve throws when the address cannot be bound. */
export function serveAdmin(config: AdminConfig, facts: AdminFacts): { stop(): void } {
  const { address } = config;
  const handler = {
    development: false,
    async fetch(request: Request, server: Bun.Server<undefined>): Promise<Response> {
      const refusal = refuse(request, config);
      if (refusal !== null) return refusal;
      const { method } = request;
      const matches = findRoutes(new URL(request.url).pathname);
      if (matches.length === 0) {
        return problem(404, `no such path; there are ${routePaths.join(", ")}`);
      }
      const match = matches.find(({ route }) => accepts(route, method));
      if (match === undefined) {
        const allowed = matches.map(({ route }) => route.method).join(" and ");
        return problem(405, `${method} is not allowed here; ${allowed} is`);
      }
      // Bun would close a connection on which nothing is sent for 10 seconds: a reload may take longer.
      if (method === "POST") server.timeout(request, 0);
      return match.route.answer(facts, match.parameters, request);
    },
    error: () => problem(500, "the admin API failed"),
  };
  const server = Bun.serve(
    "unix" in address
      ? { ...handler, unix: address.unix }
      : { ...handler, hostname: address.hostname, port: address.port, reusePort: false },
  );
  return {
    stop() {
      void server.stop(true);
    },
  };
}
