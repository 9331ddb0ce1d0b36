import { afterAll, beforeAll, expect } from "bun:test";
import type { UserConfig } from "../../src/index.ts";
import { BUILD_TIMEOUT_MS } from "./binary.ts";
import type { FakeBackend } from "./fake-backend.ts";
import { isQuiet, type Proxy, startProxy } from "./proxy.ts";

/**
 * One proxy in front of one backend for all tests of a file, without probes. At the end nothing may be in
 * flight, it must end well, and the backend must have seen nothing that a strict server refuses.
 */
export function useSharedProxy(
  backend: FakeBackend,
  pool: Partial<UserConfig["pools"][string]>,
  onStarted: (proxy: Proxy) => void,
): void {
  let proxy: Proxy;

  beforeAll(async () => {
    proxy = await startProxy({
      config: {
        pools: { web: { backends: [backend.url], health: false, ...pool } },
        workers: 1,
      },
    });
    onStarted(proxy);
  }, BUILD_TIMEOUT_MS);

  afterAll(async () => {
    await proxy.until("none in flight", isQuiet);
    expect(await proxy.stop()).toBe(0);
    expect(backend.refused).toEqual([]);
    backend.stop();
  });
}
