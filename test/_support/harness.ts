import { afterEach, beforeAll } from "bun:test";
import { BUILD_TIMEOUT_MS, leastwiseBinary } from "./binary.ts";
import { startDeadBackend } from "./dead-backend.ts";
import { type FakeBackend, startFakeBackend } from "./fake-backend.ts";
import { type Proxy, type ProxyOptions, startProxy } from "./proxy.ts";

export interface Harness {
  /** A scriptable backend that is stopped after the test. */
  backend(...how: Parameters<typeof startFakeBackend>): FakeBackend;
  /** A backend's address where nobody listens until the test is over. */
  deadBackend(): FakeBackend;
  /** The compiled binary at work, stopped after the test. */
  proxy(options: ProxyOptions): Promise<Proxy>;
}

/** For a file of integration tests: builds the binary first, stops what each test started. */
export function useHarness(): Harness {
  const running: { stop(): unknown }[] = [];

  beforeAll(async () => {
    await leastwiseBinary();
  }, BUILD_TIMEOUT_MS);

  afterEach(async () => {
    await Promise.all(running.splice(0).map((each) => each.stop()));
  });

  return {
    backend(...how) {
      const started = startFakeBackend(...how);
      running.push(started);
      return started;
    },
    deadBackend() {
      const dead = startDeadBackend();
      running.push(dead);
      return dead;
    },
    async proxy(options) {
      const started = await startProxy(options);
      // Clients that keep their connections would cost half a second each time.
      running.push({ stop: () => started.end() });
      return started;
    },
  };
}
