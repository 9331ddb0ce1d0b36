/** What a duration may look like; for messages. */
export const durationForms = 'a duration such as "250ms", "5s", "1m" or "1h"';
/** What a size may look like; for messages. */
export const sizeForms = 'a size such as "512B", "64KiB", "10MB" or "1GiB"';

/** Shapes of both, for the JSON Schema. */
export const durationPattern = "^[0-9]+(\\.[0-9]+)?(ms|s|m|h)$";
export const sizePattern = "^[0-9]+(\\.[0-9]+)?(B|KB|MB|GB|KiB|MiB|GiB)$";

/** A timer set for longer than this fires at once (32-bit milliseconds). */
export const maxDurationMs = 2 ** 31 - 1;

const millisecondsPer: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const bytesPer: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** Milliseconds, or null when the text is no duration. A unit is required, also for 0: "0s". */
export function parseDuration(text: string): number | null {
  return parseWithUnit(text, durationPattern, millisecondsPer);
}

/** Bytes, or null when the text is no size or no whole number of bytes. */
export function parseSize(text: string): number | null {
  const bytes = parseWithUnit(text, sizePattern, bytesPer);
  return bytes !== null && Number.isSafeInteger(bytes) ? bytes : null;
}

/** The shortest exact text: 60000 → "1m". */
export function formatDuration(ms: number): string {
  for (const unit of ["h", "m", "s"]) {
    const factor = millisecondsPer[unit] ?? 1;
    if (ms >= factor && ms % factor === 0) return `${ms / factor}${unit}`;
  }
  return ms === 0 ? "0s" : `${ms}ms`;
}

/** In the largest unit of a power of two that leaves no fraction: 1073741824 → "1GiB". */
export function formatSize(bytes: number): string {
  for (const unit of ["GiB", "MiB", "KiB"]) {
    const factor = bytesPer[unit] ?? 1;
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`;
  }
  return `${bytes}B`;
}

function parseWithUnit(
  text: string,
  pattern: string,
  units: Readonly<Record<string, number>>,
): number | null {
  if (!new RegExp(pattern).test(text)) return null;
  const number = Number.parseFloat(text);
  const factor = units[text.replace(/^[0-9.]+/, "")];
  return factor === undefined ? null : number * factor;
}
