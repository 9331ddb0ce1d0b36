// npx -y bun@1.4.5 examples/jaeger/backend.ts steady 3001
//
// A small server that is `steady`, `slow` or `failing`. A third argument is the address to listen on.
export {};

const [kind, port = "3001", hostname = "127.0.0.1"] = process.argv.slice(2);

/** How long an answer takes, one in 20 the longest, and which part of them is a 503. */
const KINDS = {
  steady: { ms: 20, slowestMs: 20, failures: 0 },
  slow: { ms: 250, slowestMs: 1500, failures: 0 },
  failing: { ms: 10, slowestMs: 10, failures: 0.3 },
};

if (kind !== "steady" && kind !== "slow" && kind !== "failing") {
  console.error(`found ${kind ?? "nothing"}, allowed steady, slow, failing`);
  process.exit(2);
}
const { ms, slowestMs, failures } = KINDS[kind];

const server = Bun.serve({
  hostname,
  port: Number(port),
  development: false,
  async fetch(request) {
    await Bun.sleep(Math.random() < 0.05 ? slowestMs : ms);
    const { pathname } = new URL(request.url);
    if (Math.random() < failures) return new Response("busy\n", { status: 503 });
    return Response.json({ path: pathname, answeredBy: kind });
  },
});
console.log(`${kind} listens on ${server.url.host}`);
