import { expect, test } from "bun:test";
import { ExportFailure } from "../../src/telemetry/export-failure.ts";
import { RetryingTransport } from "../../src/telemetry/retrying-transport.ts";

const data = new Uint8Array([1]);
const answer = new Uint8Array([2]);
const busy = () => new ExportFailure("busy", { code: 503, retryable: true });
const wrong = new ExportFailure("wrong", { code: 400, retryable: false });

/** Fails as often as there are failures, then succeeds. */
function setUp(failures: unknown[]) {
  const told: (string | null)[] = [];
  let tries = 0;
  const sender = {
    async send() {
      tries++;
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      return answer;
    },
    close() {},
  };
  const transport = new RetryingTransport(
    sender,
    (failure) => void told.push(failure?.message ?? null),
    () => 0.5,
  );
  return { transport, told, tries: () => tries };
}

test("what may be tried again is, and each try is told of", async () => {
  const { transport, told } = setUp([busy(), busy()]);
  expect(await transport.send(data, 5000)).toEqual({ status: "success", data: answer });
  expect(told).toEqual(["busy", "busy", null]);
});

test("what is refused for good is not tried again", async () => {
  const { transport, tries } = setUp([wrong, wrong]);
  expect(await transport.send(data, 1000)).toEqual({ status: "failure", error: wrong });
  expect(tries()).toBe(1);
});

test("when the collector wants to be left alone for longer than the export may take, it is given up", async () => {
  const later = new ExportFailure("later", { code: 429, retryable: true, retryAfterMs: 60_000 });
  const { transport, tries } = setUp([later]);
  expect(await transport.send(data, 1000)).toEqual({ status: "failure", error: later });
  expect(tries()).toBe(1);
});

test.each([0, 1])(
  "a collector that asks to be tried again in %d ms is not hammered",
  async (ms) => {
    const impatient = () =>
      new ExportFailure("busy", { code: 503, retryable: true, retryAfterMs: ms });
    const { transport, tries } = setUp(Array.from({ length: 100 }, impatient));
    expect(await transport.send(data, 1500)).toMatchObject({ status: "failure" });
    // At 0 ms and after about one second; the next one would be too late.
    expect(tries()).toBe(2);
  },
);

test("an error that nobody expected is a failure, too", async () => {
  const { transport, told } = setUp([new TypeError("what")]);
  expect(await transport.send(data, 1000)).toMatchObject({ status: "failure" });
  expect(told).toEqual(["TypeError: what"]);
});
