import { expect, test } from "bun:test";
import type { PoolConfig } from "../../src/config/config.ts";
import { AffinitySecret } from "../../src/process/affinity-secret.ts";
import { backendConfig, poolConfig } from "../_support/pools.ts";
import { RecordedLog } from "../_support/recorded-log.ts";

function pool(name: string, affinity: PoolConfig["affinity"]): PoolConfig {
  return poolConfig([backendConfig("a")], { name, affinity });
}

const open = { cookie: "lw", ttlMs: 1000, secret: null };
const secretsOf = (pools: readonly PoolConfig[]) => pools.map(({ affinity }) => affinity?.secret);

test("pools without a secret get one that stays through reloads and that nobody else has", () => {
  const secret = new AffinitySecret(new RecordedLog());
  const given = { ...open, secret: "given by the config" };
  const pools = [pool("a", open), pool("b", given), pool("c", null), pool("d", open)];
  const [a, b, c, d] = secretsOf(secret.provide(pools));
  expect(a).toMatch(/^[\w-]{43}$/);
  expect([b, c, d]).toEqual(["given by the config", undefined, a]);
  expect(secretsOf(secret.provide([pool("new", open)]))).toEqual([a]);
  expect(secretsOf(new AffinitySecret(new RecordedLog()).provide(pools))[0]).not.toBe(a);
});

test("a warning names each such pool once, and nothing that is secret", () => {
  const log = new RecordedLog();
  const secret = new AffinitySecret(log);
  secret.warn([pool("given", { ...open, secret: "given by the config" }), pool("none", null)]);
  expect(log.lines).toEqual([]);
  secret.provide([pool("a", open)]);
  secret.warn([pool("a", open)]);
  secret.warn([pool("a", open), pool("b", open)]);
  expect(log.messages).toEqual([
    "sticky sessions end with this process",
    "sticky sessions end with this process",
  ]);
  const made = secretsOf(secret.provide([pool("a", open)]))[0] ?? "";
  expect(JSON.stringify(log.lines)).not.toContain(made);
});
