/**
 * `bun run bench:telemetry`: what telemetry costs. CPU time of each proxied request, of the compiled
 * leastwise with traces off, sampled at 1 % and at 100 %, beside a build of it in which nobody listens to
 * the request path at all (no metrics, no access log, no traces). Spans go to a receiver that takes
 * everything. Rounds are interleaved, the ratio is the median of the rounds' ratios. Flags: --rounds, --requests
 * (of each round), --connections, --json.
 */
import { cp, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
import { leastwiseRecipe } from "./proxies.ts";
import { compare, formatTable } from "./report.ts";

const root = join(import.meta.dir, "../..");

/** Everything is built as usual, but for the one place where listeners are put together. */
async function buildWithoutListeners(stack: AsyncDisposableStack): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "bench-build-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  for (const name of ["src", "plugins", "package.json", "tsconfig.json", "bun.lock"]) {
    await cp(join(root, name), join(folder, name), { recursive: true });
  }
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  await Bun.write(
    join(folder, "src/telemetry/combined-observer.ts"),
    "export function combineObservers() {\n  return null;\n}\n",
  );
  const build = Bun.spawn([process.execPath, "src/build.ts"], { cwd: folder, stdout: "ignore" });
  if ((await build.exited) !== 0) throw new Error("the build without listeners failed");
  return join(folder, "dist/leastwise");
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "7" },
      requests: { type: "string", default: "30000" },
      connections: { type: "string", default: "64" },
      json: { type: "boolean", default: false },
    },
  });
  const settings = parseSettings(values);
  await using stack = new AsyncDisposableStack();
  const backends = await startBackends(stack);
  using receiver = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    maxRequestBodySize: 1 << 30,
    fetch: async (request) => {
      await request.arrayBuffer();
      return new Response(null, { status: 200 });
    },
  });
  const traced = (ratio: number) => ({
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${receiver.url.origin}/v1/traces`,
    OTEL_TRACES_SAMPLER: "traceidratio",
    OTEL_TRACES_SAMPLER_ARG: String(ratio),
  });
  const binary = await leastwiseBinary();
  const variants = [
    { name: "without", binary: await buildWithoutListeners(stack), env: {} },
    { name: "off", binary, env: {} },
    { name: "1 %", binary, env: traced(0.01) },
    { name: "100 %", binary, env: traced(1) },
  ];
  const running: Running[] = [];
  for (const { name, binary: program, env } of variants) {
    const started = await startProxyUnderTest(
      (place) => ({ ...leastwiseRecipe(program, place, freePort()), name, env }),
      backends,
      stack,
    );
    if (started !== null) running.push(started);
  }
  const rows = compare(await measure(running, settings), "without");
  console.log(
    values.json
      ? JSON.stringify({ ...settings, reference: "without", rows })
      : formatTable(rows, "without"),
  );
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
