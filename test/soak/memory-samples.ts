import { median } from "./growth.ts";
import { sampleProcess } from "./processes.ts";

/** The memory of processes, looked at some sixty times a minute: it goes up and down between collections. */
export class MemorySamples {
  readonly #timer: ReturnType<typeof setInterval>;
  #bytes: ReadonlyMap<number, number[]> = new Map();

  constructor(minuteMs: number) {
    this.#timer = setInterval(() => this.#look(), minuteMs / 60);
  }

  /** From now on these processes, and nothing is known of them. */
  watch(pids: readonly number[]): void {
    this.#bytes = new Map(pids.map((pid) => [pid, []]));
  }

  /** Since `watch`; null when it was not watched. */
  median(pid: number): number | null {
    const bytes = this.#bytes.get(pid) ?? [];
    return bytes.length === 0 ? null : median(bytes);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    for (const [pid, bytes] of this.#bytes) {
      const sample = sampleProcess(pid);
      if (sample !== null) bytes.push(sample.rssBytes);
    }
  }
}
