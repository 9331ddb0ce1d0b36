// leastwise serve --strategy examples/jaeger/avoiding.ts --backend http://127.0.0.1:3001 --backend http://127.0.0.1:3002
//
// Least connections, and a client may name backends that it would rather not have: X-Avoid: ["slow"].
// It has a mistake on purpose that no trial finds, to be seen in a trace: it believes that what
// clients send is JSON. No request fails because of it, least connections answers in its place.
import { defineStrategy } from "leastwise";

export default defineStrategy({
  name: "avoiding",
  apiVersion: 1,
  description: "least connections that goes by what a client would rather not have",
  create: ({ span }) => ({
    score(backend, { request }) {
      const avoided: unknown = JSON.parse(request.headers.get("x-avoid") ?? "[]");
      const unwanted = Array.isArray(avoided) && avoided.includes(backend.id);
      if (unwanted) span.setAttribute("avoided", backend.id);
      return backend.inFlight / backend.weight + (unwanted ? 10 : 0);
    },
  }),
});
