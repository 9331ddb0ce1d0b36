/** The soak itself, in little time: what it is for must be found. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { BUILD_TIMEOUT_MS, leastwiseBinary } from "../_support/binary.ts";
import { createRandom } from "../../src/strategy/random.ts";
import { Soak } from "./soak.ts";
import { SoakStage, WORKERS } from "./soak-stage.ts";

let stage: SoakStage;

beforeAll(async () => {
  await leastwiseBinary();
  stage = await SoakStage.open(48 * 1024);
}, BUILD_TIMEOUT_MS);

afterAll(() => stage.close());

test("a strategy that keeps something of each request is found by the soak", async () => {
  const soak = new Soak({
    stage,
    minutes: 8,
    minuteMs: 2000,
    // Twice as many lie between what is compared; a worker that gets a seventh of them grows by 40 MB.
    minuteRequests: 3000,
    random: createRandom(1),
    onMinute: () => {},
  });
  await soak.run();
  // On a crowded machine there may be others. A quick one brings a worker to its `workerMemory` by then.
  const found = soak.findings.filter((each) => each.includes("worker process"));
  expect(found).toHaveLength(WORKERS);
  for (const each of found) {
    expect(each).toMatch(/^minutes 3 to 8: memory of worker process|was left alone and ended$/);
  }
}, 600_000);
