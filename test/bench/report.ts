/** What was measured of one proxy, one entry for each round. */
export interface Measured {
  readonly name: string;
  readonly cpuMicros: readonly number[];
  readonly requestsPerSecond: readonly number[];
}

export interface Row {
  readonly name: string;
  /** Microseconds of CPU for each request: median, lowest and highest of the rounds. */
  readonly cpuMicros: Spread;
  readonly requestsPerSecond: Spread;
  /** To the reference of the same round, so that a slow minute of the machine hits both. */
  readonly ratio: Spread;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Sets everybody in relation to the proxy of that name. */
export function compare(measured: readonly Measured[], reference: string): Row[] {
  const base = measured.find((m) => m.name === reference)?.cpuMicros ?? [];
  return measured.map((m) => ({
    name: m.name,
    cpuMicros: spread(m.cpuMicros),
    requestsPerSecond: spread(m.requestsPerSecond),
    ratio: spread(m.cpuMicros.map((micros, round) => micros / (base[round] ?? Number.NaN))),
  }));
}

function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const [low, high] = [sorted[Math.floor(middle)], sorted[Math.ceil(middle)]];
  return {
    median: ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2,
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
  };
}

/** A table for people. */
export function formatTable(rows: readonly Row[], reference: string): string {
  const show = ({ median, min, max }: Spread, digits: number) =>
    `${median.toFixed(digits)} (${min.toFixed(digits)}-${max.toFixed(digits)})`;
  const lines = [
    ["proxy", "CPU µs/request", `times ${reference}`, "requests/s"],
    ...rows.map((row) => [
      row.name,
      show(row.cpuMicros, 1),
      show(row.ratio, 2),
      show(row.requestsPerSecond, 0),
    ]),
  ];
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
