import type { UserConfig } from "../../src/index.ts";
import type { ProxyOptions } from "./proxy.ts";

type UserPool = NonNullable<UserConfig["pools"]>[string];

/**
 * A pool whose backends are tried in the order in which they are given, by one worker, so that a test knows who
 * fails first. No probes and no ejection unless the change says so.
 */
export function inOrder(urls: readonly string[], change: Partial<UserPool> = {}): ProxyOptions {
  return {
    config: {
      pools: {
        web: {
          backends: urls.map((url, index) => ({ url, labels: { place: String(index) } })),
          strategy: "./in-order.ts",
          health: false,
          ejection: false,
          ...change,
        },
      },
      workers: 1,
    },
    files: {
      "in-order.ts": `export default { name: "in-order", apiVersion: 1, create: () => ({
        score: (backend) => Number(backend.labels.place ?? 0),
      }) };`,
    },
  };
}
