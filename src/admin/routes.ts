import { RuntimeError } from "../errors.ts";
import { answerDecisions } from "./decisions.ts";
import { answerExplain } from "./explain.ts";
import type { AdminFacts } from "./facts.ts";
import { problem } from "./problem-answer.ts";
import { rollBack } from "./rollback.ts";

/** What stands for `:name` in a route's path, decoded. */
export type Parameters = Readonly<Record<string, string>>;

export interface Route {
  /** HEAD is answered as GET is. */
  readonly method: "GET" | "POST";
  /** A segment that begins with `:` is a parameter. */
  readonly path: string;
  answer(facts: AdminFacts, parameters: Parameters, request: Request): Promise<Response> | Response;
}

const ROUTES: readonly Route[] = [
  { method: "GET", path: "/-/healthy", answer: () => text(200, "ok") },
  {
    method: "GET",
    path: "/-/ready",
    answer: (facts) => (facts.ready() ? text(200, "ready") : text(503, "not ready")),
  },
  {
    method: "GET",
    path: "/metrics",
    async answer(facts, _parameters, request) {
      const { contentType, body } = await facts.metrics(request.headers.get("accept"));
      return new Response(body, {
        headers: { "content-type": contentType, "cache-control": "no-store", vary: "accept" },
      });
    },
  },
  {
    method: "GET",
    path: "/api/v1/pools",
    answer: async (facts) => Response.json(await facts.pools()),
  },
  {
    method: "GET",
    path: "/api/v1/workers",
    answer: async (facts) => Response.json(await facts.workers()),
  },
  {
    method: "GET",
    path: "/api/v1/decisions",
    answer: (facts, _parameters, request) => answerDecisions(facts, request),
  },
  {
    method: "POST",
    path: "/api/v1/explain",
    answer: (facts, _, request) => answerExplain(facts, request),
  },
  {
    method: "GET",
    path: "/api/v1/reload",
    answer: (facts) => Response.json(facts.reloads()),
  },
  {
    method: "POST",
    path: "/api/v1/reload",
    async answer(facts) {
      const report = await facts.reload();
      if (report.ok) return Response.json(report);
      const reasons = report.problems.map(({ path, message }) => `${path}: ${message}`);
      const message = `the configuration before goes on: ${reasons.join("; ")}`;
      return Response.json({ ...report, error: { message } }, { status: 422 });
    },
  },
  {
    method: "POST",
    path: "/api/v1/pools/:pool/rollback",
    answer: (facts, { pool = "" }) => rollBack(facts, pool),
  },
  {
    method: "POST",
    path: "/api/v1/recycle",
    async answer(facts) {
      try {
        await facts.recycle();
      } catch (error) {
        if (error instanceof RuntimeError) return problem(503, error.message);
        throw error;
      }
      return Response.json(await facts.workers());
    },
  },
  {
    method: "POST",
    path: "/api/v1/pools/:pool/backends/:id/drain",
    answer: (facts, parameters) => setDraining(facts, parameters, true),
  },
  {
    method: "POST",
    path: "/api/v1/pools/:pool/backends/:id/undrain",
    answer: (facts, parameters) => setDraining(facts, parameters, false),
  },
];

/** For people who ask for a path that there is not. */
export const routePaths: readonly string[] = [...new Set(ROUTES.map(({ path }) => path))];

export interface Match {
  readonly route: Route;
  readonly parameters: Parameters;
}

/** Those with this path, whatever their method. */
export function findRoutes(pathname: string): Match[] {
  return ROUTES.flatMap((route) => {
    const parameters = matchPath(route.path, pathname);
    return parameters === null ? [] : [{ route, parameters }];
  });
}

export function accepts({ method }: Route, asked: string): boolean {
  return asked === method || (asked === "HEAD" && method === "GET");
}

function setDraining(
  facts: AdminFacts,
  { pool = "", id = "" }: Parameters,
  draining: boolean,
): Response {
  const backend = facts.setDraining(pool, id, draining);
  if (backend !== null) return Response.json(backend);
  return problem(404, `no pool ${JSON.stringify(pool)} has a backend ${JSON.stringify(id)}`);
}

/** Null when the path is another one. */
function matchPath(pattern: string, pathname: string): Parameters | null {
  const wanted = pattern.split("/");
  const found = pathname.split("/");
  if (wanted.length !== found.length) return null;
  const parameters: Record<string, string> = {};
  for (const [index, segment] of wanted.entries()) {
    const value = found[index] ?? "";
    if (!segment.startsWith(":")) {
      if (segment !== value) return null;
      continue;
    }
    try {
      parameters[segment.slice(1)] = decodeURIComponent(value);
    } catch {
      // Half an escape names nothing.
      return null;
    }
  }
  return parameters;
}

function text(status: number, body: string): Response {
  return new Response(`${body}\n`, { status, headers: { "cache-control": "no-store" } });
}
