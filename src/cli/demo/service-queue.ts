/** Time for a queue: the clock and a timer, so that a test can turn it by hand. */
export interface QueueClock {
  /** Monotonic milliseconds. */
  now(): number;
  /** Calls `run` at `time` or as soon as possible afterwards. */
  at(time: number, run: () => void): void;
}

export interface ServiceQueueOptions {
  /** Requests worked on at the same time. */
  readonly slots: number;
  readonly maxWaiting: number;
  readonly clock: QueueClock;
  /** Drawn once for every request when its service begins. */
  readonly serviceMs: () => number;
}

export interface ServiceQueue {
  /** `onDone` is called when the request has been served. False: the queue is full and it never will be. */
  submit(onDone: () => void): boolean;
  readonly waiting: number;
  readonly busy: number;
}

/** A backend's work: `slots` servers, one first-in-first-out queue before them. */
export function createServiceQueue(options: ServiceQueueOptions): ServiceQueue {
  const { slots, maxWaiting, clock, serviceMs } = options;
  const queue: (() => void)[] = [];
  let busy = 0;

  function serve(startAt: number, onDone: () => void): void {
    busy++;
    // The next request starts when this one should have ended, not when a late timer says so:
    // otherwise a coarse timer would take capacity away that the scenario promises.
    const endAt = startAt + serviceMs();
    clock.at(endAt, () => {
      busy--;
      const next = queue.shift();
      if (next !== undefined) serve(endAt, next);
      onDone();
    });
  }

  return {
    submit(onDone) {
      if (busy < slots) serve(clock.now(), onDone);
      else if (queue.length < maxWaiting) queue.push(onDone);
      else return false;
      return true;
    },
    get waiting() {
      return queue.length;
    },
    get busy() {
      return busy;
    },
  };
}
