import type { Health } from "../plugin.ts";

/** What the probes so far say about one backend. */
export interface HealthState {
  readonly health: Health;
  /** Probes in a row, up to the latest, that contradict `health`. */
  readonly against: number;
}

export interface HealthThresholds {
  /** Good probes in a row that make an unhealthy backend healthy. */
  readonly rise: number;
  /** Bad probes in a row that make a healthy backend unhealthy. */
  readonly fall: number;
}

/**
 * The first probe decides alone: a backend that is dead when we start must not get `fall` rounds of
 * traffic, and one that is well must not wait for `rise` probes. Afterwards the thresholds count.
 */
export function afterProbe(
  state: HealthState,
  good: boolean,
  thresholds: HealthThresholds,
): HealthState {
  const probed: Health = good ? "healthy" : "unhealthy";
  if (state.health === probed) return { health: probed, against: 0 };
  if (state.health === "unknown") return { health: probed, against: 0 };
  const against = state.against + 1;
  const enough = against >= (good ? thresholds.rise : thresholds.fall);
  return enough ? { health: probed, against: 0 } : { health: state.health, against };
}
