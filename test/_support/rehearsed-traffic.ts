import type { Attempt } from "../../src/plugin.ts";
import { createRandom } from "../../src/strategy/random.ts";
import type { Rehearsal } from "../../src/strategy/rehearsal.ts";
import { finish, respond, send } from "./rehearsed-exchange.ts";

/** What a backend does with one request. */
export interface Service {
  readonly ms: number;
  readonly status: number;
}

export interface TrafficPlan {
  readonly ratePerSecond: number;
  readonly seconds: number;
  readonly seed: number;
  /** By the place of the backend in the rehearsal's list. `random` is uniform in [0, 1). */
  serve(place: number, atMs: number, random: () => number): Service;
  /** Told of each answer, with what it took. */
  onAnswer(service: Service, place: number): void;
}

interface Running {
  readonly endsAt: number;
  readonly attempt: Attempt;
  readonly service: Service;
  readonly place: number;
}

/** Sends requests that arrive at random (Poisson) through a strategy in its host, by a clock of its own. */
export function runTraffic(rehearsal: Rehearsal, plan: TrafficPlan): void {
  const random = createRandom(plan.seed);
  const running = new RunningRequests();
  const endMs = plan.seconds * 1000;
  for (
    let dueMs = 0;
    dueMs < endMs;
    dueMs -= (Math.log(1 - random()) / plan.ratePerSecond) * 1000
  ) {
    end(rehearsal, plan, running, dueMs);
    rehearsal.nowMs = dueMs;
    const { backend } = rehearsal.pick();
    if (backend === null) throw new Error("expected an answer of the strategy");
    const place = rehearsal.backends.indexOf(backend);
    const service = plan.serve(place, dueMs, random);
    const attempt = send(rehearsal, backend);
    running.add({ endsAt: dueMs + service.ms, attempt, service, place });
  }
  end(rehearsal, plan, running, Infinity);
}

function end(rehearsal: Rehearsal, plan: TrafficPlan, running: RunningRequests, untilMs: number) {
  for (let next = running.take(untilMs); next !== null; next = running.take(untilMs)) {
    const { endsAt, attempt, service, place } = next;
    rehearsal.nowMs = endsAt;
    respond(rehearsal, attempt, { status: service.status });
    finish(rehearsal, attempt, { status: service.status });
    plan.onAnswer(service, place);
  }
}

/** In the order of their ends: a binary heap. */
class RunningRequests {
  readonly #heap: Running[] = [];

  add(request: Running): void {
    const heap = this.#heap;
    let index = heap.push(request) - 1;
    for (let up = (index - 1) >> 1; index > 0; index = up, up = (index - 1) >> 1) {
      const parent = heap[up] as Running;
      if (parent.endsAt <= request.endsAt) break;
      heap[index] = parent;
      heap[up] = request;
    }
  }

  /** The first that ends until then, or null. */
  take(untilMs: number): Running | null {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined || first.endsAt > untilMs) return null;
    const last = heap.pop() as Running;
    if (heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let down = index * 2 + 1;
      if (down >= heap.length) break;
      if (
        down + 1 < heap.length &&
        (heap[down + 1] as Running).endsAt < (heap[down] as Running).endsAt
      )
        down++;
      const child = heap[down] as Running;
      if (child.endsAt >= last.endsAt) break;
      heap[index] = child;
      index = down;
    }
    heap[index] = last;
    return first;
  }
}
