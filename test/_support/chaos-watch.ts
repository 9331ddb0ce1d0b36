import type { Proxy } from "./proxy.ts";
import { requestsOf } from "./chaos-run.ts";

const SAMPLE_MS = 50;

export interface ChaosWatch {
  stop(): Promise<{ readonly samples: number; readonly findings: readonly string[] }>;
}

/** Looks at every count as long as the chaos lasts: none may ever be negative, or more than `clients` can cause. */
export function watchCounts(proxy: Proxy, clients: number): ChaosWatch {
  const findings: string[] = [];
  let samples = 0;
  let last = 0;
  const stopping = new AbortController();
  const looking = (async () => {
    while (!stopping.signal.aborted) {
      const [pools, workers] = await Promise.all([proxy.pools(), proxy.workers()]);
      samples++;
      for (const backend of pools.flatMap((pool) => pool.backends)) {
        const { inFlight, requests, failures, connections } = backend;
        const counts = [inFlight, requests, failures, connections.open, connections.idle];
        if (counts.some((count) => !(count >= 0))) findings.push(JSON.stringify(backend));
        // Each client may have one more that it has given up and the proxy has not heard about yet.
        if (inFlight > 2 * clients) findings.push(`more in flight than clients cause: ${inFlight}`);
      }
      for (const { id, pendingRequests } of workers) {
        if (pendingRequests === null || pendingRequests >= 0) continue;
        findings.push(`worker ${id} has ${pendingRequests} requests under way`);
      }
      if (requestsOf(pools) < last) findings.push("the total of requests has fallen");
      last = requestsOf(pools);
      await Bun.sleep(SAMPLE_MS);
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await looking;
      return { samples, findings };
    },
  };
}
