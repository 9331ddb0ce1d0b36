import { afterEach } from "bun:test";
import { type FakeBackend, startFakeBackend } from "./fake-backend.ts";

/** For a file of tests: starts scriptable backends that are stopped after each test. */
export function useFakeBackends(): (...how: Parameters<typeof startFakeBackend>) => FakeBackend {
  const open: FakeBackend[] = [];
  afterEach(() => {
    for (const backend of open.splice(0)) backend.stop();
  });
  return (...how) => {
    const backend = startFakeBackend(...how);
    open.push(backend);
    return backend;
  };
}
