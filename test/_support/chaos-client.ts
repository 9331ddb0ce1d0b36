/** One request of the chaos test, over a connection of its own, and how it ended. */
import type { Socket } from "bun";
import { MalformedResponse, type ParsedHead } from "../../src/transport/response-head.ts";
import { ResponseParser } from "../../src/transport/response-parser.ts";
import { type ChaosPlan, requestBytes } from "./chaos-plan.ts";

export interface ChaosResult {
  /** `aborted`: the client broke it off itself. `undeclared`: none of the four ways, and `detail` says what came. */
  readonly end: "complete" | "broken" | "rejected" | "timeout" | "aborted" | "undeclared";
  readonly status: number | null;
  readonly body: Buffer;
  readonly detail: string;
}

/** Nothing in the test takes a tenth of it: a request that has not ended by then never will. */
const HANG_MS = 20_000;

export async function sendChaos(port: number, plan: ChaosPlan): Promise<ChaosResult> {
  const { promise, resolve } = Promise.withResolvers<ChaosResult>();
  const pieces: Buffer[] = [];
  const heads: ParsedHead[] = [];
  const parser = new ResponseParser(plan.method, {
    onHead: (head) => heads.push(head),
    onBody: (piece) => pieces.push(Buffer.from(piece)),
  });
  let received = 0;
  const settle = (end: ChaosResult["end"], detail = ""): void => {
    resolve({ end, status: heads[0]?.status ?? null, body: Buffer.concat(pieces), detail });
  };
  const answered = (): void => {
    const [head] = heads;
    if (parser.overrun) settle("undeclared", "bytes after the answer");
    else if (head?.headers.every(([name]) => name.toLowerCase() !== "proxy-status")) {
      if (head.status === plan.status) settle("complete");
      else settle("undeclared", "an answer that is neither the backend's nor ours");
    } else settle(head?.status === 504 || head?.status === 408 ? "timeout" : "rejected");
  };
  const ended = (): void => {
    if (parser.end()) answered();
    else settle("broken");
  };

  const bytes = requestBytes(plan);
  let unsent: Buffer = bytes;
  if (plan.abort?.during === "request") {
    unsent = bytes.subarray(0, Math.floor(plan.abort.at * bytes.length));
  }
  const abortAfter =
    plan.abort?.during === "response" ? Math.floor(plan.abort.at * (plan.answerBytes + 300)) : null;
  const leave = (socket: Socket): void => {
    settle("aborted");
    if (plan.abortWith === "reset") socket.terminate();
    else socket.end();
  };
  const flush = (socket: Socket): void => {
    if (unsent.length > 0) unsent = unsent.subarray(Math.max(0, socket.write(unsent)));
    if (unsent.length > 0) return;
    if (plan.abort?.during === "request" || abortAfter === 0) leave(socket);
  };
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: flush,
      drain: flush,
      data(socket, piece) {
        received += piece.length;
        if (abortAfter !== null && received >= abortAfter) {
          leave(socket);
          return;
        }
        try {
          parser.push(piece);
        } catch (error) {
          if (!(error instanceof MalformedResponse)) throw error;
          settle("undeclared", `the proxy's answer is malformed: ${error.message}`);
          return;
        }
        if (parser.complete) answered();
      },
      end: ended,
      close: ended,
      error: ended,
    },
  });
  const hang = setTimeout(() => settle("undeclared", `no end within ${HANG_MS} ms`), HANG_MS);
  const result = await promise;
  clearTimeout(hang);
  socket.end();
  return result;
}
