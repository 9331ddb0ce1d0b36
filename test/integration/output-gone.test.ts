/** Nobody takes what the program writes, or its three standard descriptors are not even open: it serves all the same. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { UserConfig } from "../../src/index.ts";
import { leastwiseBinary } from "../_support/binary.ts";
import { useHarness } from "../_support/harness.ts";

const { backend } = useHarness();

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "leastwise-test-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Everything that can be written is: logs to stderr, spans and metrics to stdout. */
const TALKATIVE = {
  accessLog: "all",
  telemetry: { traces: { exporter: "console", ratio: 1 }, metrics: { exporter: "console" } },
} satisfies Partial<UserConfig>;

/** Started by a shell that does this with its descriptors; it cannot tell its ports, so it has sockets. */
async function serve(redirections: string) {
  const unix = join(folder, "front.sock");
  const admin = join(folder, "admin.sock");
  const config = {
    ...TALKATIVE,
    listen: [{ unix }],
    admin: { address: `unix:${admin}` },
    workers: 1,
    pools: { web: { backends: [backend().url], health: false } },
  } satisfies UserConfig;
  writeFileSync(join(folder, "leastwise.config.json"), JSON.stringify(config));
  const child = Bun.spawn(
    ["/bin/bash", "-c", `exec "$0" serve ${redirections}`, await leastwiseBinary()],
    { cwd: folder, stdin: "ignore", stdout: "ignore", stderr: "ignore" },
  );
  const ready = (): Promise<boolean> =>
    fetch("http://a/-/ready", { unix: admin }).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await ready())) {
    if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}`);
    await Bun.sleep(5);
  }
  return {
    async get(path: string): Promise<string> {
      return (await fetch(`http://a${path}`, { unix })).text();
    },
    async restarts(): Promise<number[]> {
      const workers = await (await fetch("http://a/api/v1/workers", { unix: admin })).json();
      return (workers as { restarts: number }[]).map(({ restarts }) => restarts);
    },
    stop(): Promise<number> {
      child.kill("SIGTERM");
      return child.exited;
    },
  };
}

describe("requests are served, no worker dies, and it stops in order", () => {
  test.each([
    ["stdout is closed", ">&-"],
    ["stderr is closed", "2>&-"],
    ["all three standard descriptors are closed", "<&- >&- 2>&-"],
    ["stdout is on a full disk", ">/dev/full"],
    ["stdout and stderr are on a full disk", ">/dev/full 2>&1"],
    ["stdout's reader is gone", "> >(true)"],
    ["stdout's and stderr's reader is gone", "> >(true) 2>&1"],
  ])("although %s", async (_what, redirections) => {
    const front = await serve(redirections);
    for (let i = 0; i < 300; i++) expect(await front.get(`/${i}`)).toBe("ok");
    expect(await front.restarts()).toEqual([0]);
    expect(await front.stop()).toBe(0);
  });
});
