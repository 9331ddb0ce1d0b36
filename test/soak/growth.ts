import { LEAST_CALM_MINUTES } from "./phase.ts";
import type { SoakMinute } from "./soak-minute.ts";

const MB = 1024 * 1024;

interface Measure {
  readonly name: string;
  /** What the end may have more than the beginning; a runtime's heap breathes. */
  readonly most: number;
  readonly unit: "MB" | "descriptors";
  of(minute: SoakMinute): number;
}

/** Over the whole run, in which the master lives. */
const MEASURES: readonly Measure[] = [
  { name: "memory of the master", most: 40 * MB, unit: "MB", of: ({ master }) => master.rssBytes },
  {
    name: "descriptors of the master",
    most: 10,
    unit: "descriptors",
    of: ({ master }) => master.descriptors,
  },
  {
    // Those of connections come and go with the load.
    name: "descriptors of the workers that are no connection",
    most: 20,
    unit: "descriptors",
    of: ({ workers, connections }) =>
      workers.reduce((sum, { descriptors }) => sum + descriptors, 0) - connections,
  },
];

/** Of a worker that is left alone, from the first third of its settled minutes to the last. */
const MOST_WORKER_BYTES = 24 * MB;
/** What a worker takes in its first minutes is the size that its heap needs. */
const SETTLING = 1 / 4;

/** Of those that are kept a third is the beginning and a third the end, however long a run is. */
const MOST_MINUTES = 30;

/** Looks for what grows in a run, minute by minute; what it keeps does not grow. */
export class GrowthWatch {
  readonly #kept: SoakMinute[] = [];
  #calm: SoakMinute[] = [];

  /** Findings about the calm minutes that have just ended; mostly none. */
  add(minute: SoakMinute): string[] {
    this.#kept.push(minute);
    if (this.#kept.length > MOST_MINUTES) this.#kept.splice(MOST_MINUTES / 3, 1);
    if (!minute.calm) return this.endCalm();
    this.#calm.push(minute);
    return [];
  }

  /** Findings about the run and its last calm minutes. */
  end(): string[] {
    return [...this.endCalm(), ...MEASURES.flatMap((measure) => findGrowth(measure, this.#kept))];
  }

  endCalm(): string[] {
    const minutes = this.#calm;
    this.#calm = [];
    const [first] = minutes;
    if (first === undefined || minutes.length < LEAST_CALM_MINUTES) return [];
    return first.workers.flatMap(({ pid }) => {
      const bytes = minutes.flatMap(
        ({ workers }) => workers.find((worker) => worker.pid === pid)?.rssBytes ?? [],
      );
      if (bytes.length < minutes.length) return [`worker process ${pid} was left alone and ended`];
      const settled = bytes.slice(Math.ceil(bytes.length * SETTLING));
      const named = { name: `memory of worker process ${pid}`, most: MOST_WORKER_BYTES };
      const measure = { ...named, unit: "MB" as const, of: (value: number) => value };
      const when = `minutes ${first.minute} to ${minutes.at(-1)?.minute}`;
      return findGrowth(measure, settled).map((finding) => `${when}: ${finding}`);
    });
  }
}

interface MeasureOf<T> extends Omit<Measure, "of"> {
  of(sample: T): number;
}

/** The median of the last third of the samples against that of the first third. */
function findGrowth<T>({ name, most, unit, of }: MeasureOf<T>, samples: readonly T[]): string[] {
  if (samples.length < 2) return [];
  const third = Math.ceil(samples.length / 3);
  const before = median(samples.slice(0, third).map(of));
  const after = median(samples.slice(-third).map(of));
  if (after - before <= most) return [];
  const show = (value: number): string =>
    unit === "MB" ? `${(value / MB).toFixed(1)} MB` : `${value} ${unit}`;
  return [
    `${name} grew by ${show(after - before)}, from ${show(before)} to ${show(after)}; allowed is ${show(most)}`,
  ];
}

/** Of two in the middle the lower one: garbage that has not been collected yet is on top of what grows. */
export function median(values: readonly number[]): number {
  return values.toSorted((one, two) => one - two)[Math.floor((values.length - 1) / 2)] ?? 0;
}
