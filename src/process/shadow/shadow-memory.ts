import { MAX_SHADOWS } from "../../config/capacity.ts";
import { RuntimeError } from "../../errors.ts";
import { factRingLength } from "../../pool/fact-ring.ts";
import { createSharedMemory, type SharedMemory } from "../../pool/shared-memory.ts";
import { PULSE_WORDS, WorkerPulse } from "../../pool/worker-pulse.ts";

/** Of four bytes, per worker: what it tells in a tenth of a second at most, unless heads are long. */
const RING_CAPACITY = 2 ** 17;
/** After a reload those that leave and those that come are there together. */
export const SHADOW_SLOTS = 2 * MAX_SHADOWS;

/** On a cache line of its own. */
const LISTENERS = SHADOW_SLOTS * PULSE_WORDS;
const LISTENERS_WORDS = 16;
const RINGS = LISTENERS + LISTENERS_WORDS;

/** What workers and shadows need to find each other; part of a plan. */
export interface ShadowPlan {
  readonly handle: string;
  /** It lies in a file that may reach a disk: what a client proves itself with must not go there. */
  readonly onDisk: boolean;
}

/** What workers tell shadows, and by which the master sees that a shadow lives: one piece of shared memory. */
export class ShadowMemory {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** By which the master sees that the shadow in this slot lives, and what it is busy with. */
  pulse(slot: number): WorkerPulse {
    const start = slot * PULSE_WORDS;
    return new WorkerPulse(this.#words.subarray(start, start + PULSE_WORDS));
  }

  /** What the worker of this column tells. */
  ring(column: number): Int32Array {
    const length = factRingLength(RING_CAPACITY);
    const start = RINGS + column * length;
    return this.#words.subarray(start, start + length);
  }

  /** Shadows that are there to be told anything. */
  get listeners(): number {
    return Atomics.load(this.#words, LISTENERS);
  }

  set listeners(count: number) {
    Atomics.store(this.#words, LISTENERS, count);
  }
}

/** Throws RuntimeError when there is no room for it. `columns`: of workers. */
export function createShadowMemory(columns: number): {
  readonly memory: SharedMemory;
  readonly plan: ShadowPlan;
} {
  const bytes = (RINGS + columns * factRingLength(RING_CAPACITY)) * Int32Array.BYTES_PER_ELEMENT;
  const { memory, onDisk } = create(bytes);
  return { memory, plan: { handle: memory.handle, onDisk } };
}

function create(bytes: number): { readonly memory: SharedMemory; readonly onDisk: boolean } {
  try {
    return { memory: createSharedMemory(bytes, { folders: ["/dev/shm"] }), onDisk: false };
  } catch (error) {
    if (!(error instanceof RuntimeError)) throw error;
    return { memory: createSharedMemory(bytes), onDisk: true };
  }
}
