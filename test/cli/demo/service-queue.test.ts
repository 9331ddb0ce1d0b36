import { describe, expect, test } from "bun:test";
import { createServiceQueue, type QueueClock } from "../../../src/cli/demo/service-queue.ts";

/** A clock that stands still until it is turned; timers may be made to come late. */
class VirtualClock implements QueueClock {
  time = 0;
  lateMs = 0;
  readonly #timers: { time: number; run: () => void }[] = [];

  now(): number {
    return this.time;
  }

  at(time: number, run: () => void): void {
    this.#timers.push({ time: Math.max(this.time, time) + this.lateMs, run });
  }

  runUntil(end: number): void {
    for (;;) {
      this.#timers.sort((a, b) => a.time - b.time);
      const next = this.#timers[0];
      if (next === undefined || next.time > end) break;
      this.#timers.shift();
      this.time = next.time;
      next.run();
    }
    this.time = end;
  }
}

function setUp(slots: number, maxWaiting: number, serviceMs = 100) {
  const clock = new VirtualClock();
  const queue = createServiceQueue({ slots, maxWaiting, clock, serviceMs: () => serviceMs });
  const ends: { request: string; at: number }[] = [];
  const submit = (request: string) => queue.submit(() => ends.push({ request, at: clock.now() }));
  return { clock, queue, ends, submit };
}

describe("a backend's queue", () => {
  test("a request that finds a free slot is served at once", () => {
    const { clock, ends, submit } = setUp(2, 10);
    submit("a");
    submit("b");
    clock.runUntil(1000);
    expect(ends).toEqual([
      { request: "a", at: 100 },
      { request: "b", at: 100 },
    ]);
  });

  test("the rest wait and are served in the order in which they came", () => {
    const { clock, ends, submit } = setUp(1, 10);
    for (const request of ["a", "b", "c"]) submit(request);
    clock.runUntil(1000);
    expect(ends).toEqual([
      { request: "a", at: 100 },
      { request: "b", at: 200 },
      { request: "c", at: 300 },
    ]);
  });

  test("a full queue refuses at once, and accepts again when a place is free", () => {
    const { clock, queue, submit } = setUp(1, 2);
    expect([submit("served"), submit("first"), submit("second"), submit("third")]).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect([queue.busy, queue.waiting]).toEqual([1, 2]);
    clock.runUntil(100);
    expect([queue.busy, queue.waiting]).toEqual([1, 1]);
    expect(submit("fourth")).toBe(true);
    clock.runUntil(1000);
    expect([queue.busy, queue.waiting]).toEqual([0, 0]);
  });

  test("late timers do not take capacity away: 60 requests end as promised, each late by one timer", () => {
    const { clock, ends, submit } = setUp(6, 140);
    clock.lateMs = 3;
    for (let request = 0; request < 60; request++) submit(String(request));
    clock.runUntil(1003);
    expect(ends).toHaveLength(60);
    expect(ends.at(-1)?.at).toBe(1003);
  });
});
