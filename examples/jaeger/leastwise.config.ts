// leastwise serve --config examples/jaeger/leastwise.config.ts
//
// Three backends of which one is slow and one fails sometimes: something to see in every trace.
import { defineConfig } from "leastwise";

/** As in `BACKENDS=steady:3001,slow:3002,failing:3003`, where containers have names of their own. */
const [steady, slow, failing] = (
  process.env["BACKENDS"] ?? "127.0.0.1:3001,127.0.0.1:3002,127.0.0.1:3003"
).split(",");

export default defineConfig({
  listen: [{ address: "127.0.0.1:8080" }],
  pools: {
    shop: {
      backends: [
        { id: "steady", url: `http://${steady}` },
        { id: "slow", url: `http://${slow}` },
        { id: "failing", url: `http://${failing}` },
      ],
      strategy: "./avoiding.ts",
      retry: { attempts: 2, budget: 0.5, on: ["connect", "reset", "503"] },
      // The slow backend's slowest answers are given up.
      timeouts: { firstByte: "1s" },
    },
  },
  routes: [
    { path: "/products/*", pool: "shop" },
    { path: "/orders", pool: "shop" },
  ],
});
