/** The strategy of the chaos test: least connections that throws now and then, and keeps books of its own. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What one worker's strategy was told: each attempt starts once and ends once, by an outcome, or `unavailable`: a whole 503. */
export interface ChaosBooks {
  readonly started: number;
  readonly ended: Readonly<Record<string, number>>;
  /** Starts and ends that do not belong together. */
  readonly wrong: readonly string[];
}

/**
 * Its source. Every time that all which started has ended it writes its books into `folder`. It books before it
 * throws: a fault is of the strategy's making, the promise that each hook is called once is not.
 */
export function chaosStrategy(folder: string): string {
  return `
    import { renameSync, writeFileSync } from "node:fs";
    const path = ${JSON.stringify(folder)} + "/" + process.pid + ".json";
    export default { name: "moody", apiVersion: 1, create() {
      const underWay = new Set();
      const books = { started: 0, ended: {}, wrong: [] };
      const throws = (request, where) => {
        if (request.headers.get("x-strategy") === where) throw new Error("not today");
      };
      return {
        score(backend, { request }) {
          throws(request, "score");
          return backend.inFlight;
        },
        onStart({ id, request }) {
          if (underWay.has(id)) books.wrong.push("attempt " + id + " started twice");
          underWay.add(id);
          books.started++;
          throws(request, "onStart");
        },
        onResponse({ id, request }) {
          if (!underWay.has(id)) books.wrong.push("attempt " + id + " had a response but was not under way");
          throws(request, "onResponse");
        },
        onEnd({ id, request }, { outcome, status }) {
          if (!underWay.delete(id)) books.wrong.push("attempt " + id + " ended but was not under way");
          const cause = outcome === "ok" && status === 503 ? "unavailable" : outcome;
          books.ended[cause] = (books.ended[cause] ?? 0) + 1;
          if (underWay.size === 0) {
            writeFileSync(path + ".new", JSON.stringify(books));
            renameSync(path + ".new", path);
          }
          throws(request, "onEnd");
        },
      };
    } };`;
}

/** The books of these processes, added up; those that have not written any have nothing to add. */
export function readChaosBooks(folder: string, pids: readonly number[]): ChaosBooks {
  let started = 0;
  const ended: Record<string, number> = {};
  const wrong: string[] = [];
  for (const path of pids.map((pid) => join(folder, `${pid}.json`)).filter(existsSync)) {
    const books = JSON.parse(readFileSync(path, "utf8")) as ChaosBooks;
    started += books.started;
    wrong.push(...books.wrong);
    for (const [outcome, count] of Object.entries(books.ended)) {
      ended[outcome] = (ended[outcome] ?? 0) + count;
    }
  }
  return { started, ended, wrong };
}
