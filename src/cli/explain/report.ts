import type { ShownScore } from "../../admin/recorded-decision.ts";
import type { ExplainAnswer, ExplainedPick } from "../../admin/explanation.ts";
import { REFUSED, shown } from "../../process/why.ts";
import { printable } from "../printable.ts";
import { renderTable } from "../table.ts";

/** For people. `change`: what the second pick has that the first has not. */
export function renderAnswer(answer: ExplainAnswer, change: string): string {
  const { request, route, pool, before, after } = answer;
  const query = request.query === "" ? "" : `?${request.query}`;
  const asked = `${request.method} ${request.host}${request.path}${query}`;
  if (pool === null || before === null) {
    return printable(`${asked}\nno route leads anywhere: the client gets a 404\n`);
  }
  const way = route === null ? `pool ${pool}` : `route ${route}, pool ${pool}`;
  const parts = [`${asked}\n${way}, strategy ${nameOf(before)}`, renderPick(before)];
  if (after !== null) {
    parts.push(`with ${change}\n${renderPick(after)}`, compare(before, after));
  }
  return printable(`${parts.join("\n\n")}\n`);
}

/** A pick, or a decision that was made. */
export interface ShownPick {
  readonly why: string;
  readonly chosen: string | null;
  readonly failOpen: boolean;
  readonly candidates: readonly {
    readonly id: string;
    readonly inFlight: number;
    readonly weight: number;
    readonly score: ShownScore;
  }[];
  /** In flight and weight are not kept of a decision. */
  readonly excluded: readonly {
    readonly id: string;
    readonly reason: string;
    readonly inFlight?: number;
    readonly weight?: number;
  }[];
  readonly shares?: Readonly<Record<string, number>> | null;
  readonly notes: readonly string[];
}

export function renderShown(pick: ShownPick): string {
  const { candidates, excluded, chosen, shares = null } = pick;
  const share = (id: string): string[] => (shares === null ? [] : [String(shares[id] ?? 0)]);
  // Whoever gets it comes first, and then whoever else might have.
  const ordered = candidates.toSorted(
    (one, two) =>
      Number(two.id === chosen) - Number(one.id === chosen) ||
      Number(one.score) - Number(two.score) ||
      (shares?.[two.id] ?? 0) - (shares?.[one.id] ?? 0),
  );
  const mark = shares === null ? "<- gets it" : "<- most often";
  const markOf = (id: string | null): string => (id === chosen && !isEven(shares) ? mark : "");
  const head = ["BACKEND", "IN FLIGHT", "WEIGHT", "SCORE", ...(shares ? ["OF 1,000 PICKS"] : [])];
  const asked = ordered
    .slice(0, MOST_ROWS)
    .map(({ id, inFlight, weight, score }) => [
      id,
      String(inFlight),
      shown(weight),
      score === null ? "-" : shown(score),
      ...share(id),
      markOf(id),
    ]);
  const refusals = shares?.[REFUSED];
  const refused =
    refusals === undefined ? [] : [[REFUSED, "", "", "", String(refusals), markOf(null)]];
  const others = excluded
    .slice(0, MOST_ROWS)
    .map(({ id, reason, inFlight, weight }) => [
      id,
      inFlight === undefined ? "" : String(inFlight),
      weight === undefined ? "" : shown(weight),
      ...(shares === null ? [""] : ["", ""]),
      reason,
    ]);
  const rows =
    chosen === null ? [...refused, ...asked, ...others] : [...asked, ...refused, ...others];
  const leftOut = candidates.length + excluded.length - asked.length - others.length;
  const more = leftOut === 0 ? [] : [`and ${leftOut} more, which --json shows`];
  return [pick.why, ...pick.notes, renderTable([head, ...rows]), ...more].join("\n");
}

/** Of candidates, and of those that are none: nobody reads a thousand lines. */
const MOST_ROWS = 40;

/** Of those that get most, several get the same. */
function isEven(shares: Readonly<Record<string, number>> | null): boolean {
  if (shares === null) return false;
  const most = Math.max(...Object.values(shares));
  return Object.values(shares).filter((share) => share === most).length > 1;
}

function renderPick(pick: ExplainedPick): string {
  const { strategy, state, otherWorkers, failOpen } = pick;
  const notes = otherWorkers.map(({ worker, chosen, quarantined }) =>
    quarantined
      ? `in worker ${worker} ${strategy.name} is quarantined: least connections answers there`
      : `worker ${worker} has seen other requests: there, ${chosen ?? "nobody"} gets it`,
  );
  if (failOpen) notes.push(FAIL_OPEN);
  if (state === "none" && strategy.source !== "built-in") {
    notes.push(`${strategy.name} leaves no snapshot: its copy knows of no earlier request`);
  }
  return renderShown({ ...pick, notes });
}

export const FAIL_OPEN = "every backend is ejected: requests are sent anyway";

function compare(before: ExplainedPick, after: ExplainedPick): string {
  if (before.shares !== null && after.shares !== null) {
    return `of 1,000 picks: ${compareShares(before.shares, after.shares)}`;
  }
  if (before.chosen !== after.chosen || isSpread(before) || isSpread(after)) {
    return `${whoIn(after)} would get it instead of ${whoIn(before)}`;
  }
  if (before.shares === after.shares) return `nothing would change: ${whoIn(before)}`;
  const [was, is] = before.shares === null ? ["always", "most often"] : ["most often", "always"];
  return `${after.chosen ?? "nobody"} would get it ${is} instead of ${was}`;
}

/** In one line. */
const MOST_SHARES = 10;

/** By name, or where they are too many those first that change the most. */
function compareShares(was: Shares, is: Shares): string {
  const ids = [...new Set([...Object.keys(was), ...Object.keys(is)])].toSorted();
  const changeOf = (id: string): number => Math.abs((is[id] ?? 0) - (was[id] ?? 0));
  const leftOut = ids.length - MOST_SHARES;
  if (leftOut > 0) ids.sort((one, two) => changeOf(two) - changeOf(one));
  const told = ids.slice(0, MOST_SHARES).map((id) => `${id} ${was[id] ?? 0} -> ${is[id] ?? 0}`);
  const more = leftOut > 0 ? ` and ${leftOut} more, which --json shows` : "";
  return `${told.join(", ")}${more}`;
}

type Shares = Readonly<Record<string, number>>;

function isSpread({ shares }: ExplainedPick): boolean {
  return shares !== null && isEven(shares);
}

function whoIn({ chosen, shares }: ExplainedPick): string {
  const who = chosen ?? "nobody";
  if (shares === null) return who;
  return isEven(shares) ? "one of several" : `${who} most often`;
}

function nameOf({ strategy }: ExplainedPick): string {
  const { name, version, source } = strategy;
  return source === "built-in" ? name : `${name} ${version} (${source})`;
}
