import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OtlpGrpcReceiver } from "../_support/otlp-grpc-receiver.ts";
import { OtlpReceiver, type ReceivedSpan } from "../_support/otlp-receiver.ts";

const CHILD = `${import.meta.dir}/sdk-child.ts`;

/** Batches go out as soon as there are spans. */
const QUICK = { OTEL_BSP_SCHEDULE_DELAY: "1" };

interface Line {
  readonly level?: string;
  readonly message?: string;
  readonly sent?: readonly string[];
  readonly done?: boolean;
  readonly loaded?: number;
  readonly flooded?: boolean;
  readonly heapBytes?: number;
  readonly failed?: string;
  readonly lostSpans?: number;
  readonly reason?: string;
}

const ANSWERS = {
  request: "sent",
  flood: "flooded",
  "flood long": "flooded",
  memory: "heapBytes",
  loaded: "loaded",
  shutdown: "done",
} as const;

/** sdk-child.ts, with nothing of our own environment in it. */
class Child implements AsyncDisposable {
  readonly lines: Line[] = [];
  readonly #process;
  readonly #output: AsyncIterator<string>;

  constructor(env: Record<string, string>, command = [process.execPath, CHILD]) {
    this.#process = Bun.spawn(command, {
      env: { NO_PROXY: "127.0.0.1", ...env },
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    this.#output = readLines(this.#process.stdout);
  }

  /** Sends a command and waits for the line that answers it. */
  async ask(command: keyof typeof ANSWERS): Promise<Line> {
    this.#process.stdin.write(`${command}\n`);
    this.#process.stdin.flush();
    return this.next((line) => line[ANSWERS[command]] !== undefined);
  }

  async next(wanted: (line: Line) => boolean): Promise<Line> {
    for (;;) {
      const { value, done } = await this.#output.next();
      if (done === true) throw new Error(`child ended; it said ${JSON.stringify(this.lines)}`);
      const line = JSON.parse(value) as Line;
      this.lines.push(line);
      if (wanted(line)) return line;
    }
  }

  get exited(): Promise<number> {
    return this.#process.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill();
    await this.#process.exited;
  }
}

async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

let receiver = new OtlpReceiver();
afterEach(() => {
  receiver[Symbol.dispose]();
  receiver = new OtlpReceiver();
});

function expectWholeTrace(spans: readonly ReceivedSpan[], sent: readonly string[]): void {
  expect(spans).toHaveLength(3);
  const server = spans.find((span) => span.kind === "SERVER");
  const clients = spans.filter((span) => span.kind === "CLIENT");
  expect(server).toMatchObject({
    name: "GET /v1/*",
    parentSpanId: "",
    status: { code: "UNSET", message: "" },
    scope: { name: "leastwise", version: "1.2.3" },
  });
  expect(server?.attributes).toMatchObject({
    "http.request.method": "GET",
    "http.response.status_code": 200,
    "url.path": "/v1/cart",
    "url.query": "item=7",
    "server.port": 8080,
  });
  expect(
    clients.map((span) => [span.name, span.status.code, span.attributes["leastwise.backend.id"]]),
  ).toEqual([
    ["GET", "ERROR", "a"],
    ["GET", "UNSET", "b"],
  ]);
  expect(clients.map((span) => span.attributes["http.request.resend_count"])).toEqual([
    undefined,
    1,
  ]);
  expect(clients[0]?.attributes["error.type"]).toBe("reset");
  expect(clients[1]?.attributes["leastwise.fallback"]).toBe(false);
  expect(clients.map((span) => span.parentSpanId)).toEqual([server!.spanId, server!.spanId]);
  expect(clients.map((span) => `00-${span.traceId}-${span.spanId}-01`)).toEqual([...sent]);
  for (const span of clients) {
    expect(span.traceId).toBe(server!.traceId);
    expect(span.startNs >= server!.startNs && span.endNs <= server!.endNs).toBe(true);
    expect(span.events).toMatchObject([
      { name: "leastwise.connected", attributes: { "leastwise.connect.duration_ms": 0.5 } },
    ]);
  }
}

test.each([
  { env: {}, contentType: "application/x-protobuf", contentEncoding: "" },
  {
    env: { OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" },
    contentType: "application/json",
    contentEncoding: "",
  },
  {
    env: { OTEL_EXPORTER_OTLP_COMPRESSION: "gzip" },
    contentType: "application/x-protobuf",
    contentEncoding: "gzip",
  },
  {
    env: {
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
    },
    contentType: "application/json",
    contentEncoding: "gzip",
  },
])(
  "a whole trace arrives as $contentType $contentEncoding",
  async ({ env, contentType, contentEncoding }) => {
    await using child = new Child({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint, ...env });
    const { sent } = await child.ask("request");
    await child.ask("shutdown");
    expectWholeTrace(await receiver.spans(3), sent ?? []);
    expect(receiver.exports).toMatchObject([{ path: "/v1/traces", contentType, contentEncoding }]);
    expect(child.lines.filter((line) => line.level !== undefined)).toEqual([]);
  },
);

test("a whole trace arrives from a compiled binary", async () => {
  const folder = mkdtempSync(join(tmpdir(), "leastwise-telemetry-"));
  try {
    const binary = join(folder, "child");
    const built = Bun.spawnSync(
      [
        process.execPath,
        "build",
        "--compile",
        "--minify",
        "--bytecode",
        "--format=esm",
        CHILD,
        "--outfile",
        binary,
      ],
      { cwd: folder, stdout: "ignore", stderr: "pipe" },
    );
    expect(built.exitCode, built.stderr.toString()).toBe(0);
    await using child = new Child({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint }, [binary]);
    const { sent } = await child.ask("request");
    await child.ask("shutdown");
    expectWholeTrace(await receiver.spans(3), sent ?? []);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("nothing of OpenTelemetry is loaded unless it is wanted", async () => {
  await using off = new Child({ OTEL_SERVICE_NAME: "edge" });
  expect(await off.ask("loaded")).toEqual({ loaded: 0 });
  await using on = new Child({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint });
  expect((await on.ask("loaded")).loaded).toBeGreaterThan(0);
});

test("only traces are sent, even when metrics and logs exporters are named", async () => {
  await using child = new Child({
    ...QUICK,
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
    OTEL_METRICS_EXPORTER: "otlp",
    OTEL_METRIC_EXPORT_INTERVAL: "10",
    OTEL_METRIC_EXPORT_TIMEOUT: "10",
    OTEL_LOGS_EXPORTER: "otlp",
    OTEL_NODE_EXPERIMENTAL_SDK_METRICS: "true",
  });
  await child.ask("request");
  await receiver.spans(3);
  await child.ask("request");
  await receiver.spans(6);
  await child.ask("shutdown");
  expect(new Set(receiver.exports.map(({ path }) => path))).toEqual(new Set(["/v1/traces"]));
});

test("the resource names service, version, instance and process, and nothing of the machine", async () => {
  await using child = new Child({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint });
  await child.ask("request");
  await child.ask("shutdown");
  const [span] = await receiver.spans(3);
  expect(Object.keys(span!.resource).sort()).toEqual([
    "process.pid",
    "service.instance.id",
    "service.name",
    "service.version",
    "telemetry.sdk.language",
    "telemetry.sdk.name",
    "telemetry.sdk.version",
  ]);
  expect(span!.resource).toMatchObject({ "service.name": "leastwise", "service.version": "1.2.3" });
  expect(span!.resource).toMatchObject({
    "service.instance.id": "627cc493-f310-47de-96bd-71410b7dec09",
    "process.pid": 4711,
  });
});

test("service name, resource attributes and headers come from the environment", async () => {
  await using child = new Child({
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${receiver.endpoint}/v1/traces`,
    OTEL_EXPORTER_OTLP_HEADERS: "x-tenant=seven",
    OTEL_SERVICE_NAME: "edge",
    OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=staging,service.version=9",
    OTEL_NODE_RESOURCE_DETECTORS: "all",
  });
  await child.ask("request");
  await child.ask("shutdown");
  const [span] = await receiver.spans(3);
  expect(span!.resource).toMatchObject({
    "service.name": "edge",
    "service.version": "9",
    "deployment.environment.name": "staging",
  });
  expect(span!.resource).not.toContainKey("process.command_line");
  expect(receiver.exports[0]?.headers.get("x-tenant")).toBe("seven");
});

test("with OTEL_TRACES_SAMPLER=always_off nothing is sent", async () => {
  await using child = new Child({
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
    OTEL_TRACES_SAMPLER: "always_off",
  });
  const { sent } = await child.ask("request");
  await child.ask("shutdown");
  expect(sent).toHaveLength(2);
  for (const traceparent of sent ?? []) expect(traceparent).toEndWith("-00");
  expect(receiver.exports).toEqual([]);
});

test("an outage is reported once when it begins and once when it ends", async () => {
  await using child = new Child({ ...QUICK, OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint });
  receiver.status = 400;
  for (const exports of [1, 2, 3]) {
    await child.ask("request");
    await receiver.answered(exports);
  }
  receiver.status = 200;
  await child.ask("request");
  const spans = await receiver.spans(3);
  expect(spans.length).toBeLessThan(12);
  const recovery = await child.next((line) => line.message === "spans are exported again");
  await child.ask("shutdown");
  expect(recovery).toMatchObject({
    level: "info",
    target: `${receiver.endpoint}/v1/traces`,
    lostSpans: 12 - spans.length,
  });
  expect(child.lines.filter((line) => line.level === "warn" || line.level === "error")).toEqual([
    {
      level: "warn",
      message: "spans cannot be exported and are dropped",
      target: `${receiver.endpoint}/v1/traces`,
      reason: "Bad Request (400)",
    } as Line,
  ]);
});

test("with nobody listening, shutdown gives up by itself and says so", async () => {
  const { endpoint } = receiver;
  receiver[Symbol.dispose]();
  await using child = new Child({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint });
  await child.ask("request");
  await child.ask("shutdown");
  expect(child.lines.filter((line) => line.level !== undefined)).toMatchObject([
    {
      level: "warn",
      message: "spans cannot be exported and are dropped",
      target: `${endpoint}/v1/traces`,
      reason: "ECONNREFUSED: Unable to connect",
    },
    {
      level: "warn",
      message: "the last spans were not exported",
      reason: "no answer within 2000 ms",
    },
  ]);
});

test.each(["none", "gzip"])(
  "a whole trace arrives by gRPC, compression %s",
  async (compression) => {
    using grpc = await OtlpGrpcReceiver.start();
    await using child = new Child({
      OTEL_EXPORTER_OTLP_ENDPOINT: grpc.endpoint,
      OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
      OTEL_EXPORTER_OTLP_HEADERS: "X-Tenant=seven",
      OTEL_EXPORTER_OTLP_COMPRESSION: compression,
    });
    const { sent } = await child.ask("request");
    await child.ask("shutdown");
    expectWholeTrace(await grpc.spans(3), sent ?? []);
    expect(grpc.calls).toMatchObject([{ signal: "traces", metadata: { "x-tenant": "seven" } }]);
    expect(child.lines.filter((line) => line.level !== undefined)).toEqual([]);
  },
);

describe("a collector that takes exports and never answers", () => {
  test.each([
    ["http/protobuf", "flood", "2048"],
    ["http/protobuf", "flood long", "3 MiB of"],
    ["http/json", "flood", "2048"],
    ["http/json", "flood long", "3 MiB of"],
    ["grpc", "flood", "2048"],
    ["grpc", "flood long", "3 MiB of"],
  ] as const)("costs less than 10 MB, by %s, in a %s", async (protocol, flood, held) => {
    using silent = new SilentServer();
    await using child = new Child({
      ...QUICK,
      OTEL_EXPORTER_OTLP_ENDPOINT: silent.endpoint,
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
    });
    // What the SDK itself needs is there whatever the collector does.
    await child.ask("request");
    const before = (await child.ask("memory")).heapBytes ?? 0;
    await child.ask(flood);
    const after = (await child.ask("memory")).heapBytes ?? 0;
    expect((after - before) / 1e6).toBeLessThan(10);
    // The queue was full, so this is the most that it will be.
    const warning = child.lines.find(({ level }) => level === "warn");
    expect(warning?.reason).toBe(`${held} spans wait, and more come than the collector takes`);
  });
});

/** Takes connections and bytes. */
class SilentServer implements Disposable {
  readonly #server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });

  get endpoint(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  [Symbol.dispose](): void {
    this.#server.stop(true);
  }
}
