/** What examples/jaeger sends, with our own receiver in the place of Jaeger. */
import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { chmod } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import * as attributes from "../../src/telemetry/attributes.ts";
import { BUILD_TIMEOUT_MS, leastwiseBinary } from "../_support/binary.ts";
import { startOnLowPort } from "../_support/chaos-run.ts";
import { startFakeBackend } from "../_support/fake-backend.ts";
import { folderWith } from "../_support/leastwise.ts";
import { OtlpReceiver, type ReceivedSpan } from "../_support/otlp-receiver.ts";
import { connectRaw } from "../_support/raw-client.ts";

setDefaultTimeout(120_000);

const root = join(import.meta.dir, "../..");
const folder = join(root, "examples/jaeger");
const readme = await Bun.file(join(folder, "README.md")).text();

interface Service {
  readonly build?: {
    readonly context: string;
    readonly dockerfile: string;
    readonly target: string;
  };
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly depends_on?: readonly string[];
}

const { services } = Bun.YAML.parse(await Bun.file(join(folder, "compose.yaml")).text()) as {
  readonly services: Readonly<Record<string, Service>>;
};

/** The tags that the README says to search for. */
const tags = [...readme.matchAll(/^\| .*\| `([\w.]+)=([^`]+)` +\|$/gm)].map(
  ([, name = "", value = ""]) => ({ name, value }),
);

beforeAll(async () => {
  await leastwiseBinary();
}, BUILD_TIMEOUT_MS);

/** Of our own environment only what finds programs: what else is set must not change the example. */
function environment(own: Readonly<Record<string, string>>): Record<string, string> {
  return {
    PATH: `${dirname(process.execPath)}:${process.env["PATH"] ?? ""}`,
    HOME: process.env["HOME"] ?? "/",
    ...own,
  };
}

/**
 * Addresses where nobody listens, no two alike, of ports that no outgoing connection gets: run.sh knocks at them until
 * somebody does, and whoever knocks at a port of the kernel's own may be given just that one and meet itself.
 */
function freeAddresses(count: number): string[] {
  const backends = Array.from({ length: count }, () => startOnLowPort(() => null));
  for (const backend of backends) backend.stop();
  return backends.map(({ port }) => `127.0.0.1:${port}`);
}

function found(spans: readonly ReceivedSpan[], name: string, value: string): boolean {
  return spans.some(({ attributes }) => String(attributes[name]) === value);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(process.platform === "win32")("run.sh (needs Bash)", () => {
  test("sends spans with every tag that the README names, and leaves nothing behind", async () => {
    using receiver = new OtlpReceiver();
    // In the place of Jaeger's executable; where spans go is told by the environment.
    await using jaeger = await folderWith({
      jaeger: '#!/bin/sh\necho $$ > "$(dirname "$0")/pid"\nexec sleep 1000\n',
    });
    await chmod(join(jaeger.path, "jaeger"), 0o755);
    const [listen = "", admin = "", ...addresses] = freeAddresses(5);
    const child = Bun.spawn([join(folder, "run.sh"), "./jaeger"], {
      // The script finds its own way, and what it is given is relative to here.
      cwd: jaeger.path,
      env: environment({
        BACKENDS: addresses.join(","),
        LEASTWISE_LISTEN: listen,
        LEASTWISE_ADMIN: admin,
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
        OTEL_BSP_SCHEDULE_DELAY: "100",
        REQUESTS_PER_SECOND: "150",
      }),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const output = Promise.all([child.stdout.text(), child.stderr.text()]);
    try {
      const deadline = Date.now() + 90_000;
      let missing = tags;
      let spans: ReceivedSpan[] = [];
      while (missing.length > 0) {
        if (Date.now() > deadline) throw new Error(`never sent: ${JSON.stringify(missing)}`);
        spans = await receiver.spans(spans.length + 1, Math.max(1, deadline - Date.now()));
        missing = missing.filter(({ name, value }) => !found(spans, name, value));
      }
      expect(new Set(spans.map(({ resource }) => resource["service.name"]))).toEqual(
        new Set(["leastwise"]),
      );
      const decisions = spans.flatMap(({ events }) =>
        events.filter(({ name }) => name === "leastwise.decision"),
      );
      expect(decisions).not.toBeEmpty();
    } finally {
      child.kill("SIGTERM");
    }
    expect(await child.exited, (await output).join("")).toBe(0);
    for (const address of [...addresses, listen]) {
      const connecting = connectRaw(Number(address.split(":")[1]));
      await expect(connecting).rejects.toMatchObject({ code: "ECONNREFUSED" });
    }
    expect(isAlive(Number(await Bun.file(join(jaeger.path, "pid")).text()))).toBe(false);
    // Receivers that take traces alone are not asked to take metrics.
    expect(new Set(receiver.exports.map(({ path }) => path))).toEqual(new Set(["/v1/traces"]));
  });

  test("says what it was given in the place of Jaeger's executable", async () => {
    const child = Bun.spawn([join(folder, "run.sh"), "./nothing-here"], {
      env: environment({}),
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    const [said, code] = await Promise.all([child.stderr.text(), child.exited]);
    expect(said).toBe("found ./nothing-here, expected Jaeger's executable\n");
    expect(code).toBe(2);
  });

  test("ends with an error when the proxy does not start", async () => {
    const taken = startFakeBackend();
    const [admin = "", ...addresses] = freeAddresses(4);
    try {
      const child = Bun.spawn([join(folder, "run.sh")], {
        env: environment({
          BACKENDS: addresses.join(","),
          LEASTWISE_LISTEN: `127.0.0.1:${taken.port}`,
          LEASTWISE_ADMIN: admin,
        }),
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
      const [said, code] = await Promise.all([child.stderr.text(), child.exited]);
      expect(said).toContain(`127.0.0.1:${taken.port} is taken by another program`);
      expect(code).toBe(1);
    } finally {
      taken.stop();
    }
  });
});

test("the README names tags to search for, retries and fallbacks among them", () => {
  expect(tags.length).toBeGreaterThanOrEqual(10);
  expect(tags.map(({ name }) => name)).toContainValues([
    "http.request.resend_count",
    "leastwise.fallback",
  ]);
});

test("each attribute and event of ours that the README names is one that there is", () => {
  const named = [...readme.matchAll(/`(leastwise\.[\w.]+)(?:=[^`]*|\*)?`/g)].map(
    ([, name]) => name,
  );
  expect(named.length).toBeGreaterThan(15);
  const known: readonly string[] = [
    ...Object.values(attributes),
    `${attributes.STRATEGY_OWN}avoided`,
  ];
  expect(named.filter((name = "") => !known.includes(name))).toEqual([]);
});

test("the load generator ends after the seconds that it is given, and says how requests ended", async () => {
  const backend = startFakeBackend(() => "ok");
  try {
    const child = Bun.spawn(
      [process.execPath, join(folder, "load.ts"), backend.url, "100", "0.5"],
      { stdin: "ignore", stdout: "pipe", stderr: "inherit" },
    );
    const [said, code] = await Promise.all([child.stdout.text(), child.exited]);
    expect(code).toBe(0);
    const counts = [...said.matchAll(/(?:GET|POST) 200: (\d+)/g)].map(([, count]) => Number(count));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(backend.requests.length);
    expect(said).not.toContain("without an answer");
  } finally {
    backend.stop();
  }
});

test("a backend of a kind that there is not says which there are", async () => {
  const child = Bun.spawn([process.execPath, join(folder, "backend.ts"), "fast"], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  expect(await child.stderr.text()).toBe("found fast, allowed steady, slow, failing\n");
  expect(await child.exited).toBe(2);
});

describe("the containers", () => {
  test.each([
    ["of compose.yaml", services["leastwise"]?.environment ?? {}],
    ["of run.sh", {}],
  ])("the config passes check with the environment %s", async (_whose, own) => {
    const file = join(folder, "leastwise.config.ts");
    const child = Bun.spawn([await leastwiseBinary(), "check", "--json", "--config", file], {
      env: environment(own),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr, code] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    expect(code, stderr).toBe(0);
    const [steady = "", slow = "", failing = ""] = (
      own["BACKENDS"] ?? "127.0.0.1:3001,127.0.0.1:3002,127.0.0.1:3003"
    ).split(",");
    for (const address of [steady, slow, failing]) expect(stdout).toContain(address);
  });

  test("the proxy's backends are the services of those names, on their ports", () => {
    const addresses = services["leastwise"]?.environment?.["BACKENDS"]?.split(",") ?? [];
    expect(addresses).toHaveLength(3);
    for (const address of addresses) {
      const [name = "", port] = address.split(":");
      const { command = [] } = services[name] ?? {};
      expect(command).toEqual(["bun", "examples/jaeger/backend.ts", name, port ?? "", "0.0.0.0"]);
    }
    const listen = services["leastwise"]?.environment?.["LEASTWISE_LISTEN"]?.split(":")[1];
    expect(services["load"]?.command?.at(-1)).toBe(`http://leastwise:${listen}`);
  });

  test("what compose.yaml and the Dockerfile name is there", async () => {
    const dockerfile = await Bun.file(join(folder, "Dockerfile")).text();
    const stages = [...dockerfile.matchAll(/^FROM \S+ AS (\w+)$/gm)].map(([, stage]) => stage);
    for (const { build, command, depends_on: others = [] } of Object.values(services)) {
      for (const other of others) expect(services).toContainKey(other);
      if (build === undefined) continue;
      expect(resolve(folder, build.context)).toBe(resolve(root));
      expect(existsSync(join(root, build.dockerfile))).toBe(true);
      expect(stages).toContain(build.target);
      const file = command?.[1];
      if (file !== undefined) expect(existsSync(join(root, file))).toBe(true);
    }
    const copied = [...dockerfile.matchAll(/^COPY (?!--)(.*) \S+$/gm)].flatMap(([, names = ""]) =>
      names.split(" "),
    );
    expect(copied.length).toBeGreaterThan(3);
    for (const name of copied) expect(existsSync(join(root, name))).toBe(true);
    const ci = await Bun.file(join(root, ".ci/run")).text();
    const [version = ""] = /bun@[\d.]+/.exec(dockerfile) ?? [];
    expect(ci).toContain(`npx -y ${version} `);
  });
});
