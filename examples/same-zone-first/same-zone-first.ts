// leastwise serve -c leastwise.config.json
//
// Least connections within our own zone; other zones, which cost more, help when it is full.
// Shows options, an import of its own, and scores.
import { defineStrategy } from "leastwise";
import { parseOptions } from "./options.ts";

export default defineStrategy({
  name: "same-zone-first",
  apiVersion: 1,
  description: "least connections, other zones only when our own is full",
  parseOptions,
  create: ({ options }) => ({
    score(backend) {
      const load = backend.inFlight / backend.weight;
      return backend.labels["zone"] === options.zone ? load : load + options.full;
    },
  }),
});
