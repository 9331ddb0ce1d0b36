/**
 * What a backend does to an idle connection in the moment before its next use, so that the runtime
 * has not told us yet: the socket is looked at, and no answer of somebody else's passes for ours.
 */
import { afterAll, describe, expect, test } from "bun:test";
import type { SocketCalls } from "../../src/transport/socket-calls.ts";
import { startFakeBackend } from "../_support/fake-backend.ts";
import type { FakeWire } from "../_support/fake-wire.ts";
import { bodyless, fetchText, PiecesReader, transportTo, withBody } from "../_support/transport.ts";

const STRAY = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL";
const backend = startFakeBackend((request) => request.target);

afterAll(() => backend.stop());

/** The second of two requests, sent in the same turn in which the backend did this to the idle connection. */
async function secondAnswer(
  to: (wire: FakeWire) => void,
  method: "GET" | "POST",
  socketCalls?: SocketCalls | null,
) {
  const transport = transportTo(backend, socketCalls === undefined ? {} : { socketCalls });
  const used = backend.connections;
  await fetchText(transport, bodyless("GET", "/first"));
  to(backend.wires.at(-1) as FakeWire);
  const request =
    method === "GET"
      ? bodyless("GET", "/second")
      : withBody(new PiecesReader([Buffer.from("pay")]), 3, "POST", "/second");
  const answer = await fetchText(transport, request);
  transport.close();
  return { text: answer.text, connections: backend.connections - used };
}

describe.each(["GET", "POST"] as const)("a %s right after the backend", (method) => {
  test.each([
    ["wrote an answer that nobody asked for", (wire: FakeWire) => void wire.write(STRAY)],
    ["wrote a single byte", (wire: FakeWire) => void wire.write("\n")],
    ["ended its side", (wire: FakeWire) => wire.fin()],
    ["reset the connection", (wire: FakeWire) => wire.reset()],
  ])("%s goes over another connection [R05, F03]", async (_what, to) => {
    expect(await secondAnswer(to, method)).toEqual({ text: "/second", connections: 2 });
  });

  test("did nothing goes over the same one", async () => {
    expect(await secondAnswer(() => {}, method)).toEqual({ text: "/second", connections: 1 });
  });
});

test("without a look the stray answer is taken for ours: what the look is for", async () => {
  const blind = await secondAnswer((wire) => void wire.write(STRAY), "GET", null);
  expect(blind).toEqual({ text: "EVIL", connections: 1 });
});
