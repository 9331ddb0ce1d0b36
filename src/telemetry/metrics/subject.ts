import type { PoolConfig } from "../../config/config.ts";
import { BACKEND_ID, POOL } from "../attributes.ts";
import { backendLabels } from "./backend-labels.ts";
import type { Instrument } from "./instrument.ts";
import { readLabelValues } from "./label-text.ts";

/** Pool, id, address and port. */
const BACKEND_LABELS = 4;

/** What a reload may remove, and a series may be about: a pool, or a backend of one. */
export function subjectsOf(pools: readonly Pick<PoolConfig, "name" | "backends">[]): Set<string> {
  return new Set(
    pools.flatMap(({ name, backends }) => [
      JSON.stringify([name]),
      ...backends.map((backend) => JSON.stringify(backendLabels(name, backend))),
    ]),
  );
}

/** One of these; null: the series is about neither. `text`: its labels, as it is kept by them. */
export function subjectOf(instrument: Instrument, text: string): string | null {
  const values = readLabelValues(instrument, text);
  if (values === null) return null;
  if (instrument.labels.includes(BACKEND_ID)) return JSON.stringify(values.slice(-BACKEND_LABELS));
  const pool = values[instrument.labels.indexOf(POOL)] ?? null;
  return pool === null ? null : JSON.stringify([pool]);
}
