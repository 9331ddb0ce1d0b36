import { expect, test } from "bun:test";
import type { ShadowStatus } from "../../src/admin/facts.ts";
import { renderShadow } from "../../src/cli/shadow-table.ts";

const SHADOW: ShadowStatus = {
  name: "candidate",
  version: "abc",
  source: "/x/candidate.ts",
  state: "running",
  reason: null,
  restarts: 0,
  pid: 1,
  figures: null,
};
const side = (share: number, mean: number, max: number) => ({
  requests: 1,
  share,
  inFlight: { now: 0, mean, max },
});
const FIGURES = {
  picks: 1000,
  agreed: 832,
  agreement: 0.832,
  refused: 0,
  fallbacks: 0,
  faults: 0,
  dropped: 0,
  pickMs: { sum: 1, p50: 0.00123, p99: 2.5, buckets: [] },
  backends: [{ id: "a", shadow: side(0.25, 0.5, 2), acting: side(0.75, 3.138, 12) }],
};

test("a shadow at work is shown beside what was done", () => {
  expect(renderShadow("web", { ...SHADOW, figures: FIGURES })).toBe(
    [
      "pool web: shadow candidate abc (/x/candidate.ts), running, agrees in 83.2 % of 1000 picks, p50 1.2 us, p99 2.5 ms",
      "BACKEND  SHARE   WOULD BE  IN FLIGHT  WOULD BE  AT MOST  WOULD BE",
      "a        75.0 %  25.0 %    3.14       0.50      12       2",
    ].join("\n"),
  );
});

test("a shadow without picks shows the load that clients' sessions are", () => {
  const figures = { ...FIGURES, picks: 0, agreement: null, pickMs: null };
  expect(renderShadow("web", { ...SHADOW, figures }).split("\n")).toEqual([
    "pool web: shadow candidate abc (/x/candidate.ts), running, no picks yet",
    "BACKEND  SHARE   WOULD BE  IN FLIGHT  WOULD BE  AT MOST  WOULD BE",
    "a        75.0 %  25.0 %    3.14       0.50      12       2",
  ]);
});

test("a shadow that was shown nothing has no table", () => {
  const none = { ...side(0, 0, 0), requests: 0, share: null };
  const backends = [{ id: "a", shadow: none, acting: none }];
  const figures = { ...FIGURES, picks: 0, agreement: null, pickMs: null, backends };
  expect(renderShadow("web", { ...SHADOW, figures })).toBe(
    "pool web: shadow candidate abc (/x/candidate.ts), running, no picks yet",
  );
});

test("what went wrong is said, and nothing that a strategy says moves the cursor", () => {
  const figures = { ...FIGURES, refused: 2, faults: 3, dropped: 4, picks: 1, agreement: 1 };
  const text = renderShadow("web", {
    ...SHADOW,
    state: "stopped",
    reason: "10 faults in a row, the last: \u001b[2J",
    restarts: 1,
    figures,
  });
  expect(text.split("\n")[0]).toBe(
    "pool web: shadow candidate abc (/x/candidate.ts), STOPPED: 10 faults in a row, the last: \\u001b[2J, " +
      "restarted 1 time, agrees in 100.0 % of 1 picks, p50 1.2 us, p99 2.5 ms, refused 2, 3 faults, 4 requests not shown",
  );
});
