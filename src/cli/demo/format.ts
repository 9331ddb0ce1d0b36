/** `98.4 ms`, `211 ms`, `2480 ms`. */
export function formatMs(ms: number): string {
  return `${ms < 99.95 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
}

/** `0 %` is said of nothing but 0: one failure in ten thousand shows as `0.010 %`. */
export function formatPercent(fraction: number): string {
  const percent = fraction * 100;
  if (percent === 0) return "0 %";
  if (percent < 0.0005) return "< 0.001 %";
  return `${percent.toFixed(percent < 0.1 ? 3 : percent < 1 ? 2 : 1)} %`;
}

/** `17,106`. */
export function formatCount(count: number): string {
  return count.toString().replace(/\B(?=(\d{3})+$)/g, ",");
}
