import { describe, expect, test } from "bun:test";
import { type Admission, admit } from "../../src/balance/admission.ts";
import { Settlement } from "../../src/balance/settle.ts";
import { EJECTION_TRIAL_OPEN } from "../../src/pool/counters.ts";
import { newPool } from "../_support/pools.ts";

function newWorkers(failures: number | null = 3) {
  const pool = newPool(2);
  const { counters } = pool;
  const reports: string[] = [];
  const start = (row = 0, worker = 0) => {
    const backend = pool.backends[row];
    const admission = backend && admit(pool, backend, worker, false);
    if (!admission) throw new Error("not admitted");
    return { admission, attempt: settle(admission) };
  };
  const settle = (admission: Admission) =>
    new Settlement(
      {
        counters,
        failures,
        onFailing: (each) => reports.push(`failing ${each}`),
        onTrialEnded: (each, trial, ok) =>
          reports.push(`trial ${trial} of ${each} ${ok ? "ok" : "failed"}`),
      },
      admission,
    );
  return { counters, reports, start };
}

describe("settling an attempt", () => {
  test("a success counts a request, no failure, and ends the failures in a row", () => {
    const { counters, start, reports } = newWorkers();
    counters.addConsecutiveFailures(0, 2);
    const { attempt } = start();
    expect(counters.requests(0)).toBe(1);
    expect(counters.consecutiveFailures(0)).toBe(2);
    attempt.responded(200);
    expect(counters.consecutiveFailures(0)).toBe(0);
    attempt.ended("ok");
    expect([counters.requests(0), counters.failures(0), reports]).toEqual([1, 0, []]);
  });

  test("404 and 501 are successes of the backend", () => {
    const { counters, start } = newWorkers();
    start().attempt.responded(404);
    start().attempt.responded(501);
    expect([counters.requests(0), counters.failures(0)]).toEqual([2, 0]);
  });

  test("a 5xx whose body breaks as well is one failure", () => {
    const { counters, start } = newWorkers();
    const { attempt } = start();
    attempt.responded(502);
    attempt.ended("truncated");
    attempt.ended("reset");
    expect([counters.requests(0), counters.failures(0), counters.consecutiveFailures(0)]).toEqual([
      1, 1, 1,
    ]);
  });

  test("a stream that breaks long after a good head does not bring old failures back", () => {
    const { counters, start, reports } = newWorkers(3);
    counters.addConsecutiveFailures(0, 2);
    const stream = start();
    stream.attempt.responded(200);
    const other = start(0, 1);
    other.attempt.responded(200);
    other.attempt.ended("ok");
    other.admission.release();
    stream.attempt.ended("truncated");
    expect([counters.consecutiveFailures(0), reports]).toEqual([1, []]);
  });

  test("a client that goes away blames nobody and clears nothing", () => {
    const { counters, start, reports } = newWorkers();
    counters.addConsecutiveFailures(0, 2);
    start().attempt.ended("client_gone");
    expect([counters.failures(0), counters.consecutiveFailures(0), reports]).toEqual([0, 2, []]);
  });

  test("the failure that reaches the threshold is reported, by whichever worker it was", () => {
    const { start, reports } = newWorkers(3);
    start(0, 0).attempt.ended("connect");
    start(0, 1).attempt.responded(500);
    expect(reports).toEqual([]);
    start(0, 1).attempt.ended("timeout");
    expect(reports).toEqual(["failing 0"]);
  });

  test("a backend that fails on without being ejected is reported again, but not for every request", () => {
    const { start, reports } = newWorkers(3);
    for (let i = 0; i < 9; i++) start(1).attempt.responded(503);
    expect(reports).toEqual(["failing 1", "failing 1", "failing 1"]);
  });

  test("without ejection failures are counted and nothing is reported", () => {
    const { counters, start, reports } = newWorkers(null);
    for (let i = 0; i < 9; i++) start().attempt.responded(500);
    expect([counters.failures(0), reports]).toEqual([9, []]);
  });

  test("a backend that answers 200 and breaks every body is reported", () => {
    // A head that cleared the failures for good would keep the number in a row at 1 for ever.
    const { counters, start, reports } = newWorkers(3);
    for (let i = 1; i <= 3; i++) {
      const { attempt } = start();
      attempt.responded(200);
      attempt.ended("truncated");
      expect([counters.failures(0), counters.consecutiveFailures(0)]).toEqual([i, i]);
    }
    expect(reports).toEqual(["failing 0"]);
  });

  test("broken bodies among good answers are not failures in a row", () => {
    const { start, reports } = newWorkers(3);
    for (let i = 0; i < 10; i++) {
      const { attempt } = start();
      attempt.responded(200);
      attempt.ended("truncated");
      start().attempt.responded(200);
    }
    expect(reports).toEqual([]);
  });
});

describe("settling a trial", () => {
  const begin = () => {
    const workers = newWorkers(3);
    workers.counters.setEjection(0, EJECTION_TRIAL_OPEN, 1);
    const started = workers.start(0, 1);
    return { ...workers, ...started, trial: workers.counters.ejection(0) };
  };

  test("is reported at the head, once", () => {
    const { attempt, admission, reports, counters, trial } = begin();
    attempt.responded(200);
    expect(reports).toEqual([`trial ${trial} of 0 ok`]);
    attempt.ended("ok");
    admission.release();
    expect(reports).toHaveLength(1);
    expect(counters.ejection(0)).toBe(trial);
  });

  test("failed by a 5xx or by a broken exchange", () => {
    const bad = begin();
    bad.attempt.responded(500);
    expect(bad.reports).toEqual([`trial ${bad.trial} of 0 failed`]);
    const broken = begin();
    broken.attempt.ended("connect");
    broken.admission.release();
    expect(broken.reports).toEqual([`trial ${broken.trial} of 0 failed`]);
  });

  test("whose client went away before the head is open again and not reported", () => {
    const { attempt, admission, reports, counters } = begin();
    attempt.ended("client_gone");
    admission.release();
    expect(reports).toEqual([]);
    expect(counters.ejection(0)).toBe(EJECTION_TRIAL_OPEN);
  });
});
