/** What a new strategy looks like: works as it is, and shows state, hooks and time. */
export function strategyTemplate(name: string): string {
  return `// leastwise serve --strategy ./${name}.ts --backend http://127.0.0.1:3001 --backend http://127.0.0.1:3002
import { defineStrategy } from "leastwise";

/** For so long, a backend that failed is asked last. */
const FORGIVE_AFTER_MS = 5000;

export default defineStrategy({
  name: "${name}",
  apiVersion: 1,
  description: "the fewest requests in flight, backends that failed lately last",
  create({ now, perBackend }) {
    const stateOf = perBackend(() => ({ failedAt: -Infinity }));
    return {
      // Lower is better. Equal scores take turns by weight.
      score(backend) {
        const failedLately = now() - stateOf(backend).failedAt < FORGIVE_AFTER_MS;
        return backend.inFlight / backend.weight + (failedLately ? 1000 : 0);
      },
      onEnd({ backend }, { outcome }) {
        if (outcome !== "ok" && outcome !== "client_gone") stateOf(backend).failedAt = now();
      },
    };
  },
});
`;
}

/** Its test: leastwise plugin test runs it. */
export function testTemplate(name: string): string {
  return `// leastwise plugin test
import { describe, expect, test } from "bun:test";
import { complete, fakeBackends, rehearse, strategySuite } from "leastwise/testing";
import strategy from "./${name}.ts";

describe("keeps every strategy's promises", () => {
  for (const { name, run } of strategySuite(strategy)) test(name, run);
});

test("sends a request where less is going on", () => {
  const [busy, idle] = fakeBackends([{ inFlight: 3 }, { inFlight: 1 }]);
  const pool = rehearse(strategy, { backends: [busy, idle] });
  expect(pool.pick()).toBe(idle);
});

test("leaves a backend that failed alone for a while", () => {
  const pool = rehearse(strategy, { backends: 2, seed: 1 });
  const attempt = pool.send();
  complete(attempt, { outcome: "reset", afterMs: 20 });

  for (let request = 0; request < 10; request++) {
    expect(pool.pick()).not.toBe(attempt.backend);
  }

  pool.clock.advance(5000);
  const later = Array.from({ length: 10 }, () => pool.pick());
  expect(later).toContain(attempt.backend);
});
`;
}
