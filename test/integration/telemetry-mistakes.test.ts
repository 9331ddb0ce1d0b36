/** Telemetry that cannot work as it is configured: said before anything starts, by the compiled binary. */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BUILD_TIMEOUT_MS, leastwiseBinary } from "../_support/binary.ts";

beforeAll(async () => {
  await leastwiseBinary();
}, BUILD_TIMEOUT_MS);

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "leastwise-test-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function check(
  env: Record<string, string>,
  telemetry: Record<string, unknown> = {},
): Promise<{ said: string; code: number }> {
  const config = { pools: { web: { backends: ["http://127.0.0.1:9"] } }, telemetry };
  writeFileSync(join(folder, "leastwise.config.json"), JSON.stringify(config));
  const child = Bun.spawn([await leastwiseBinary(), "check"], {
    cwd: folder,
    env,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const [said, code] = await Promise.all([child.stderr.text(), child.exited]);
  return { said, code };
}

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: "https://127.0.0.1:4318" };

describe("a file for TLS", () => {
  test("that has no end is not read to it", async () => {
    const before = performance.now();
    const { said, code } = await check({
      ...ENDPOINT,
      OTEL_EXPORTER_OTLP_CERTIFICATE: "/dev/zero",
    });
    expect(code).toBe(2);
    expect(said).toBe(
      'leastwise: 1 problem\n  OTEL_EXPORTER_OTLP_CERTIFICATE: found "/dev/zero", which cannot be read: it is no regular file\n',
    );
    expect(performance.now() - before).toBeLessThan(10_000);
  });

  test("that is a FIFO without a writer is not waited for", async () => {
    const fifo = join(folder, "fifo");
    expect(Bun.spawnSync(["mkfifo", fifo]).exitCode).toBe(0);
    const { said, code } = await check({ ...ENDPOINT, OTEL_EXPORTER_OTLP_CERTIFICATE: fifo });
    expect(code).toBe(2);
    expect(said).toContain("it is no regular file");
  });

  test("that is too large for one is refused", async () => {
    const file = join(folder, "ca.pem");
    writeFileSync(file, "x".repeat(1024 * 1024 + 1));
    const { said, code } = await check({ ...ENDPOINT, OTEL_EXPORTER_OTLP_CERTIFICATE: file });
    expect(code).toBe(2);
    expect(said).toContain("it is larger than 1 MiB");
  });

  test.each([
    ["OTEL_EXPORTER_OTLP_CERTIFICATE", {}],
    ["OTEL_EXPORTER_OTLP_CLIENT_KEY", { OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: "/etc/hosts" }],
    ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", {}],
  ] as const)("%s is named once", async (name, more) => {
    const { said, code } = await check({ ...ENDPOINT, ...more, [name]: "/nowhere/a.pem" });
    expect(code).toBe(2);
    expect(said).toBe(
      `leastwise: 1 problem\n  ${name}: found "/nowhere/a.pem", which cannot be read: ENOENT: no such file or directory\n`,
    );
  });

  test("is named as in the file, for one signal or for both", async () => {
    const { said } = await check(ENDPOINT, {
      otlp: { certificate: "both.pem" },
      traces: { otlp: { certificate: "one.pem" } },
    });
    expect(said).toContain("\n  telemetry.traces.otlp.certificate: found ");
    expect(said).toContain("\n  telemetry.otlp.certificate: found ");
    expect(said).toStartWith("leastwise: 2 problems");
  });

  test("without its other half names the variable, too", async () => {
    const { said } = await check({
      ...ENDPOINT,
      OTEL_EXPORTER_OTLP_CLIENT_KEY: "/etc/hosts",
    });
    expect(said).toBe(
      "leastwise: 1 problem\n  OTEL_EXPORTER_OTLP_CLIENT_KEY: found without clientCertificate, allowed both or none\n",
    );
  });

  test("with a hostile name is named in part, and cannot change what is around it", async () => {
    const { said } = await check({
      ...ENDPOINT,
      OTEL_EXPORTER_OTLP_CERTIFICATE: `/\u001b[31m\u202e\u2066\u009b${"x".repeat(100_000)}`,
    });
    expect(said.length).toBeLessThan(400);
    expect(said).toContain('found "/\\u001b[31m\\u202e\\u2066\\u009bxxx');
    expect(said).not.toMatch(/[^\n\P{C}]/u);
  });
});

describe("what OpenTelemetry's variables say in vain", () => {
  test.each([
    ["OTEL_SDK_DISABLED", "nonsense", 'found "nonsense", which counts as false'],
    ["OTEL_LOGS_EXPORTER", "nonsense", 'found "nonsense", but logs are not exported'],
    ["OTEL_LOGS_EXPORTER", "otlp", 'found "otlp", but logs are not exported'],
  ])("%s=%s is pointed out", async (name, value, hint) => {
    const { said, code } = await check({ ...ENDPOINT, [name]: value });
    expect(code, said).toBe(0);
    const { level, message } = JSON.parse(said) as Record<string, string>;
    expect(level).toBe("warn");
    expect(message).toStartWith(`${name}: ${hint}`);
  });

  test.each([
    { OTEL_SDK_DISABLED: "FALSE", OTEL_LOGS_EXPORTER: "none" },
    { OTEL_SDK_DISABLED: "true", OTEL_LOGS_EXPORTER: "otlp" },
  ])("%j says nothing", async (variables) => {
    const { said, code } = await check({ ...ENDPOINT, ...variables });
    expect(code, said).toBe(0);
    expect(said).not.toContain("OTEL_");
  });

  test.each([
    ["OTEL_BSP_MAX_QUEUE_SIZE", "0x10", 'found "0x10", allowed a whole number from 1 to'],
    ["OTEL_BSP_MAX_QUEUE_SIZE", "0b1", 'found "0b1", allowed a whole number from 1 to'],
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:0", "nobody can listen on port 0"],
  ])("%s=%s is a mistake", async (name, value, said) => {
    const checked = await check({ ...ENDPOINT, [name]: value });
    expect(checked.code).toBe(2);
    expect(checked.said).toContain(`  ${name}: found`);
    expect(checked.said).toContain(said);
  });
});

test("keys of a file that turn the text around are shown as escapes, long ones in part", async () => {
  const { said, code } = await check({}, { "\u202etrust": 1, [`${"k".repeat(100_000)}`]: 2 });
  expect(code).toBe(2);
  expect(said).toContain('["\\u202etrust"]');
  expect(said.length).toBeLessThan(1000);
  expect(readFileSync(join(folder, "leastwise.config.json"), "utf8")).toContain("\u202e");
});
