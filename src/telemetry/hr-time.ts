import type { HrTime } from "@opentelemetry/api";

/** The SDK's seconds and nanoseconds, of milliseconds with fractions. */
export function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.floor((ms - seconds * 1000) * 1e6)];
}
