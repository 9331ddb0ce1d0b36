/**
 * `bun test/bench/event-stream.bench.ts`: how long one event of an event stream takes from the backend's write to the
 * client's read, through the compiled leastwise and, beside it, directly. Flags: --events (default 500), --every
 * (milliseconds between two events, default 20).
 */
import { parseArgs } from "node:util";
import { startFakeBackend } from "../_support/fake-backend.ts";
import { startProxy } from "../_support/proxy.ts";
import { connectRaw } from "../_support/raw-client.ts";

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "500" },
    every: { type: "string", default: "20" },
  },
});
const events = Number(values.events);
const everyMs = Number(values.every);

const sentAt: number[] = [];
const backend = startFakeBackend(async (_request, wire) => {
  sentAt.length = 0;
  await wire.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
  for (let i = 0; i < events; i++) {
    await Bun.sleep(everyMs);
    sentAt.push(performance.now());
    await wire.write(`data: ${i};\n\n`);
  }
  wire.fin();
});
const proxy = await startProxy({ config: { pools: { web: { backends: [backend.url] } } } });

/** Milliseconds of each event, in ascending order. */
async function measure(port: number): Promise<number[]> {
  const client = await connectRaw(port);
  client.send("GET / HTTP/1.1\r\nHost: bench.example\r\nConnection: close\r\n\r\n");
  const delays: number[] = [];
  for (let i = 0; i < events; i++) {
    await client.until((text) => text.includes(`data: ${i};`, text.length - 100));
    delays.push(performance.now() - (sentAt[i] ?? 0));
  }
  await client.closed;
  return delays.toSorted((a, b) => a - b);
}

console.log(`${events} events, one every ${everyMs} ms; delay from write to read in ms`);
for (const [name, port] of [
  ["directly", backend.port],
  ["through leastwise", proxy.port],
] as const) {
  const delays = await measure(port);
  const at = (share: number) => (delays[Math.ceil(share * delays.length) - 1] ?? 0).toFixed(2);
  console.log(`${name.padEnd(18)} p50 ${at(0.5)}  p99 ${at(0.99)}  most ${at(1)}`);
}
await proxy.stop();
backend.stop();
