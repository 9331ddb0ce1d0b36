import { expect, test } from "bun:test";
import { readDescriptors } from "../../src/process/descriptors.ts";
import { limitUnsent } from "../../src/process/unsent-limit.ts";
import { openSocketCalls } from "../../src/transport/socket-calls.ts";

// Elsewhere there is nothing to set.
test.skipIf(process.platform !== "linux")(
  "the listener of a port is found and limited",
  async () => {
    const calls = openSocketCalls();
    if (calls === null) throw new Error("no socket calls on Linux");
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("ok") });
    const port = server.port ?? 0;
    expect(limitUnsent(calls, readDescriptors(), port)).toBe(true);
    await server.stop(true);
    expect(limitUnsent(calls, readDescriptors(), port)).toBe(false);
  },
);
