import type { StrategyPlugin } from "../src/plugin.ts";

/**
 * The backend with the fewest requests in flight for its weight. The default.
 *
 * "Connections" means requests in flight: sent to the backend and not finished, counted over all
 * workers. A streaming response counts until it ends; an idle keep-alive connection never counts.
 *
 * A slow backend holds its requests for longer, so it has more of them and is given fewer: no
 * latency needs to be measured. A backend that fails fast has the fewest of all, which is why
 * ejection is on by default.
 *
 * The host breaks ties by smooth weighted round robin, so idle backends share by weight.
 */
export default {
  name: "least-connections",
  apiVersion: 1,
  description: "the backend with the fewest requests in flight for its weight",
  create: () => ({ score: (backend) => backend.inFlight / backend.weight }),
} satisfies StrategyPlugin;
