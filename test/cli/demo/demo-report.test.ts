import { describe, expect, test } from "bun:test";
import { planRows } from "../../../src/cli/demo/demo-report.ts";
import { createProxyConfig } from "../../../src/cli/demo/proxy-config.ts";

const defaults = {
  label: "least-connections + defaults",
  strategy: "least-connections",
  guards: "defaults",
} as const;

describe("the rows of the demo", () => {
  test("are round robin and least connections without guards, then with our defaults", () => {
    expect(planRows([])).toEqual([
      { label: "round-robin", strategy: "round-robin", guards: "off" },
      { label: "least-connections", strategy: "least-connections", guards: "off" },
      defaults,
    ]);
  });

  test("given strategies take the place of the first two", () => {
    expect(planRows(["./mine.ts"])).toEqual([
      { label: "./mine.ts", strategy: "./mine.ts", guards: "off" },
      defaults,
    ]);
  });
});

describe("the config of a row's proxy", () => {
  const backends = [{ name: "normal-1", url: "http://127.0.0.1:4001" }];
  const configOf = (row: Parameters<typeof createProxyConfig>[0]["row"]) =>
    createProxyConfig({ row, backends, listen: "127.0.0.1:1", admin: "127.0.0.1:2" });

  test("without guards there is no ejection, no health check and no retry", () => {
    expect(configOf({ label: "a", strategy: "round-robin", guards: "off" })).toMatchObject({
      listen: [{ address: "127.0.0.1:1" }],
      admin: { address: "127.0.0.1:2" },
      pools: {
        demo: {
          backends: [{ id: "normal-1", url: "http://127.0.0.1:4001" }],
          strategy: "round-robin",
          ejection: false,
          health: false,
          retry: false,
        },
      },
    });
  });

  test("with our defaults nothing is said about them", () => {
    expect(JSON.stringify(configOf(defaults))).not.toMatch(/ejection|health|retry/);
  });

  test("a strategy file is found from the working directory, wherever the config lies", () => {
    expect(configOf({ label: "m", strategy: "./mine.ts", guards: "off" })).toMatchObject({
      pools: { demo: { strategy: `${process.cwd()}/mine.ts` } },
    });
  });
});
