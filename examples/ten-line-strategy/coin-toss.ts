// leastwise serve --strategy ./coin-toss.ts --backend http://127.0.0.1:3001 --backend http://127.0.0.1:3002
//
// The power of two choices: draw two backends, take the one with less to do.
import { defineStrategy } from "leastwise";

export default defineStrategy({
  name: "coin-toss",
  apiVersion: 1,
  create: ({ random }) => ({
    pick(candidates) {
      const draw = () => candidates[Math.floor(random() * candidates.length)] ?? candidates[0];
      const [one, other] = [draw(), draw()];
      return one.inFlight <= other.inFlight ? one : other;
    },
  }),
});
