/** When spans are sent, and what happens when they cannot be. */
import { expect, test } from "bun:test";
import { calmly, useTracing } from "../_support/traced-proxy.ts";

const { backend, collector, tracedProxy } = useTracing();

test("spans that were not sent yet are sent at the stop", async () => {
  const receiver = collector();
  const proxy = await tracedProxy(receiver, {
    ...calmly([backend().url]),
    env: { OTEL_BSP_SCHEDULE_DELAY: "600000" },
  });
  await (await fetch(proxy.url)).text();
  expect(await proxy.stop()).toBe(0);
  expect(await receiver.spans(2)).toHaveLength(2);
});

test("a collector that refuses is reported once, and requests are served", async () => {
  const receiver = collector();
  receiver.status = 400;
  const proxy = await tracedProxy(receiver, calmly([backend().url]));
  for (let exports = 1; exports <= 3; exports++) {
    expect((await fetch(proxy.url)).status).toBe(200);
    await receiver.answered(exports);
  }
  expect(await proxy.stop()).toBe(0);
  expect(proxy.log().match(/spans cannot be exported/g)).toHaveLength(1);
});
