import type { SoakMinute } from "./soak-minute.ts";

const MB = 1024 * 1024;

interface Measure {
  readonly name: string;
  /**
   * What the end may have more than the beginning. Versions of a strategy stay in a worker until it is recycled, and a
   * runtime's heap breathes; a leak per request or reload is above this within the hour.
   */
  readonly most: number;
  of(minute: SoakMinute): readonly number[];
}

const MEASURES: readonly Measure[] = [
  { name: "memory of the master", most: 40 * MB, of: ({ master }) => [master.rssBytes] },
  {
    name: "memory of a worker",
    most: 80 * MB,
    of: ({ workers }) => workers.map(({ rssBytes }) => rssBytes),
  },
  { name: "descriptors of the master", most: 10, of: ({ master }) => [master.descriptors] },
  {
    // Those of connections come and go with the load.
    name: "descriptors of the workers that are no connection",
    most: 20,
    of: ({ workers, connections }) => [
      workers.reduce((sum, { descriptors }) => sum + descriptors, 0) - connections,
    ],
  },
];

/** Says what grew: the median of the last third of the minutes against that of the first third. */
export function findGrowth(minutes: readonly SoakMinute[]): string[] {
  if (minutes.length < 2) return [];
  const third = Math.ceil(minutes.length / 3);
  return MEASURES.flatMap(({ name, most, of }) => {
    const before = median(minutes.slice(0, third).flatMap(of));
    const after = median(minutes.slice(-third).flatMap(of));
    return after - before > most ? [`${name} grew from ${before} to ${after}`] : [];
  });
}

function median(values: readonly number[]): number {
  return values.toSorted((one, two) => one - two)[Math.floor(values.length / 2)] ?? 0;
}
