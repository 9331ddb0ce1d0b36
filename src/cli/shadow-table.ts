import type { ShadowStatus } from "../admin/facts.ts";
import type { ShadowFigures } from "../strategy/shadow/figures.ts";
import { printable } from "./printable.ts";
import { renderTable } from "./table.ts";

/** One shadow of a pool: what it would have done beside what was done. */
export function renderShadow(pool: string, shadow: ShadowStatus): string {
  const { name, version, source, state, reason, restarts, figures } = shadow;
  const notes = [
    reason === null ? state : `${state.toUpperCase()}: ${printable(reason)}`,
    ...(restarts > 0 ? [`restarted ${restarts} ${restarts === 1 ? "time" : "times"}`] : []),
    ...(figures === null ? [] : describe(figures)),
  ];
  const line = `pool ${pool}: shadow ${name} ${version} (${source}), ${notes.join(", ")}`;
  return figures === null || !hasRequests(figures) ? line : `${line}\n${backendTable(figures)}`;
}

function describe(figures: ShadowFigures): string[] {
  const { picks, agreement, refused, faults, dropped, pickMs } = figures;
  return [
    agreement === null ? "no picks yet" : `agrees in ${percent(agreement)} of ${picks} picks`,
    ...(pickMs === null ? [] : [`p50 ${duration(pickMs.p50)}, p99 ${duration(pickMs.p99)}`]),
    ...(refused > 0 ? [`refused ${refused}`] : []),
    ...(faults > 0 ? [`${faults} faults`] : []),
    ...(dropped > 0 ? [`${dropped} requests not shown`] : []),
  ];
}

/** Not only what was picked: sessions of clients are a backend's load, too. */
function hasRequests({ backends }: ShadowFigures): boolean {
  return backends.some(({ acting }) => acting.requests > 0);
}

function backendTable({ backends }: ShadowFigures): string {
  return renderTable([
    ["BACKEND", "SHARE", "WOULD BE", "IN FLIGHT", "WOULD BE", "AT MOST", "WOULD BE"],
    ...backends.map(({ id, shadow, acting }) => [
      id,
      percent(acting.share ?? 0),
      percent(shadow.share ?? 0),
      acting.inFlight.mean.toFixed(2),
      shadow.inFlight.mean.toFixed(2),
      String(acting.inFlight.max),
      String(shadow.inFlight.max),
    ]),
  ]);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function duration(ms: number): string {
  return ms < 1 ? `${(ms * 1000).toFixed(1)} us` : `${ms.toFixed(1)} ms`;
}
