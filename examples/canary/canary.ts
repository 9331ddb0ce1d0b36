// leastwise serve -c leastwise.config.json
//
// A new version for those who ask for it: requests with a header go to backends labelled as canaries,
// all others to the rest. Shows the request, refusals, and what a strategy adds to traces and metrics.
import { type Backend, defineStrategy, type RequestInfo } from "leastwise";
import { parseOptions } from "./options.ts";

/** Further than any number of requests in flight. */
const FAR = 1e9;

export default defineStrategy({
  name: "canary",
  apiVersion: 1,
  description:
    "backends labelled track=canary for requests with a header, the others for all others",
  parseOptions,
  create({ options, span, counter }) {
    const sent = counter("canary.requests");
    const failed = counter("canary.failures");

    function asksForCanary({ headers }: RequestInfo): boolean {
      const found = headers.get(options.header);
      return found !== null && (options.value === null || found === options.value);
    }

    return {
      score(backend, { request }) {
        const load = backend.inFlight / backend.weight;
        if (isCanary(backend) === asksForCanary(request)) return load;
        return options.strict ? Infinity : load + FAR;
      },
      onStart({ backend }) {
        if (!isCanary(backend)) return;
        span.setAttribute("canary", true);
        sent.add();
      },
      onEnd({ backend }, { outcome, status }) {
        if (!isCanary(backend) || outcome === "client_gone") return;
        if (outcome !== "ok" || (status ?? 0) >= 500) failed.add();
      },
    };
  },
});

function isCanary({ labels }: Backend): boolean {
  return labels["track"] === "canary";
}
