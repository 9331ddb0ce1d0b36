import type { Problem } from "../errors.ts";
import { formatPath, show } from "./problem.ts";

/** `cookies`: by pool, as far as they can be read. A browser keeps one of a name: each pool would end the other's sessions. */
export function findCookieProblems(
  cookies: readonly (readonly [pool: string, cookie: string])[],
): Problem[] {
  const problems: Problem[] = [];
  const first = new Map<string, string>();
  for (const [pool, cookie] of cookies) {
    const other = first.get(cookie);
    if (other === undefined) {
      first.set(cookie, pool);
      continue;
    }
    const message = `found ${show(cookie)} a second time, after ${pathOf(other)}; allowed a name that no other pool has, such as ${show(`${cookie}-${pool}`)}`;
    problems.push({ path: pathOf(pool), message });
  }
  return problems;
}

function pathOf(pool: string): string {
  return formatPath(["pools", pool, "affinity", "cookie"]);
}
