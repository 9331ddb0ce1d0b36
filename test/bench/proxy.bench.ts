/**
 * `bun run bench`: CPU time of each proxied request, of the compiled leastwise beside nginx and
 * HAProxy where these are installed (Debian: nginx, haproxy). Each has one worker, three backends on
 * loopback, 64 keep-alive connections and a body of 18 bytes; rounds are interleaved. The time is
 * that of all processes of a proxy, from /proc. Figures of different machines do not compare; ratios
 * of one run do. Flags: --rounds, --requests (of each round), --connections, --json.
 */
import { parseArgs } from "node:util";
import { leastwiseBinary } from "../_support/binary.ts";
import {
  freePort,
  measure,
  parseSettings,
  type Running,
  startBackends,
  startProxyUnderTest,
} from "./benchmark.ts";
import { leastwiseRecipe, type ProxyPlace, recipes } from "./proxies.ts";
import { compare, formatTable } from "./report.ts";

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "3" },
      requests: { type: "string", default: "60000" },
      connections: { type: "string", default: "64" },
      json: { type: "boolean", default: false },
    },
  });
  const settings = parseSettings(values);
  await using stack = new AsyncDisposableStack();
  const backends = await startBackends(stack);
  const running: Running[] = [];
  for (const [name, createRecipe] of Object.entries({
    ...recipes,
    leastwise: async (place: ProxyPlace) =>
      leastwiseRecipe(await leastwiseBinary(), place, freePort()),
  })) {
    const started = await startProxyUnderTest(createRecipe, backends, stack);
    if (started === null) console.error(`${name} is not installed: left out`);
    else running.push(started);
  }

  const reference = running[0]?.name ?? "leastwise";
  const rows = compare(await measure(running, settings), reference);
  console.log(
    values.json ? JSON.stringify({ ...settings, reference, rows }) : formatTable(rows, reference),
  );
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
