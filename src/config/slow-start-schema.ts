import * as z from "zod";
import type { SlowStartConfig } from "./config.ts";
import { duration, section } from "./value.ts";

/* The slow start of backends that become available, as a config file asks for it. */

/** Not 0: a weight is above 0 everywhere, and strategies divide by it. */
const minWeightForms = "a number from 0.001 to 1";
const aggressionForms = "a number from 0.1 to 100";

export const slowStart = section({
  // The formula counts the first second as one: in a shorter window nothing would happen.
  window: duration({ minMs: 2000 })
    .prefault("30s")
    .meta({ description: "How long it takes until a backend has its whole weight." }),
  minWeight: z
    .number({ error: minWeightForms })
    .min(0.001, { error: minWeightForms })
    .max(1, { error: minWeightForms })
    .default(0.1)
    .meta({ description: "Share of its weight that it has at least." }),
  aggression: z
    .number({ error: aggressionForms })
    .min(0.1, { error: aggressionForms })
    .max(100, { error: aggressionForms })
    .default(1)
    .meta({ description: "1: the weight grows evenly; above 1: faster at first." }),
});

export function fillSlowStart(
  parsed: z.output<typeof slowStart> | undefined,
): SlowStartConfig | null {
  if (parsed === undefined) return null;
  const { window, minWeight, aggression } = parsed;
  return { windowMs: window, minWeight, aggression };
}
