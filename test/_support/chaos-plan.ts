/** What the chaos test does with each request, drawn from a seed. */
import type { FakeReply } from "./fake-backend.ts";

export type Random = () => number;

export type Fault = "fin" | "reset" | "garbage" | "silence";

export interface ChaosPlan {
  readonly id: number;
  readonly method: "GET" | "POST";
  readonly requestBody: Buffer;
  readonly chunkedRequest: boolean;
  /** 503 is retried elsewhere, where it is the answer too: the client gets the last one. */
  readonly status: 200 | 503;
  readonly answer: "length" | "chunked" | "close";
  readonly answerBytes: number;
  readonly delayMs: number;
  /** Answer bytes per write; null: all in one. */
  readonly pieceBytes: number | null;
  /** What the backend does in place of a whole answer, every time it is asked. */
  readonly fault: Fault | null;
  /** Where it happens, as a fraction of the answer's bytes. */
  readonly faultAt: number;
  /** The client goes away after this fraction of the bytes that it sends or gets. */
  readonly abort: { readonly during: "request" | "response"; readonly at: number } | null;
  readonly abortWith: "fin" | "reset";
  /** Where the strategy throws for this request. */
  readonly strategyThrows: "score" | "onStart" | "onResponse" | "onEnd" | null;
}

export function drawPlan(random: Random, id: number): ChaosPlan {
  const chance = (probability: number) => random() < probability;
  const size = (): number => {
    const kind = random();
    if (kind < 0.05) return 100_000 + Math.floor(random() * 300_000);
    return kind < 0.1 ? 0 : Math.floor(random() * 8_000);
  };
  const one = <T>(...all: [T, ...T[]]): T => all[Math.floor(random() * all.length)] ?? all[0];
  const method = one("GET", "POST");
  const answerBytes = size();
  return {
    id,
    method,
    requestBody: method === "POST" ? payload(id + 7, size()) : Buffer.alloc(0),
    chunkedRequest: chance(0.3),
    status: chance(0.1) ? 503 : 200,
    answer: one("length", "length", "chunked", "close"),
    answerBytes,
    delayMs: chance(0.2) ? Math.floor(random() * 60) : 0,
    pieceBytes: chance(0.3) ? Math.max(64, Math.floor(answerBytes / (1 + random() * 20))) : null,
    fault: chance(0.2)
      ? one<Fault>(
          "fin",
          "fin",
          "fin",
          "fin",
          "reset",
          "reset",
          "reset",
          "reset",
          "garbage",
          "silence",
        )
      : null,
    faultAt: chance(0.2) ? 0 : random(),
    abort: chance(0.15) ? { during: one("request", "response"), at: random() } : null,
    abortWith: one("fin", "reset"),
    strategyThrows: chance(0.05) ? one("score", "onStart", "onResponse", "onEnd") : null,
  };
}

/** The body of the only right answer: the request's id, a checksum, and that many bytes. */
export function answerBody(plan: ChaosPlan): Buffer {
  const rest = payload(plan.id, plan.answerBytes);
  return Buffer.concat([Buffer.from(`${plan.id} ${Bun.hash.crc32(rest)}\n`), rest]);
}

/** The request as the client writes it, over a connection of its own. */
export function requestBytes(plan: ChaosPlan): Buffer {
  const { requestBody } = plan;
  const head = [
    `${plan.method} /${plan.id} HTTP/1.1`,
    "Host: chaos.test",
    "Connection: close",
    ...(plan.strategyThrows === null ? [] : [`X-Strategy: ${plan.strategyThrows}`]),
  ];
  if (plan.method === "GET") return Buffer.from(`${head.join("\r\n")}\r\n\r\n`);
  if (!plan.chunkedRequest) {
    head.push(`Content-Length: ${requestBody.length}`);
    return Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), requestBody]);
  }
  head.push("Transfer-Encoding: chunked");
  return Buffer.concat([
    Buffer.from(`${head.join("\r\n")}\r\n\r\n`),
    asChunks(requestBody, 5_000),
    Buffer.from("0\r\n\r\n"),
  ]);
}

/** How a backend answers; null: never. */
export function reply(plan: ChaosPlan): FakeReply | null {
  const { fault, delayMs, pieceBytes } = plan;
  if (fault === "silence") return null;
  if (fault === "garbage") return { delayMs, raw: [payload(plan.id, 200)], afterwards: "fin" };
  const bytes = answerBytes(plan);
  return {
    delayMs,
    raw: [bytes],
    ...(pieceBytes === null ? {} : { pieceBytes, gapMs: 1 }),
    // At least the last byte is missing.
    ...(fault === null ? {} : { cutAfter: Math.floor(plan.faultAt * bytes.length) }),
    afterwards: faultEnd(plan),
  };
}

/** A body that ends with the connection looks whole after a FIN, wherever that comes. */
function faultEnd(plan: ChaosPlan): "keep" | "fin" | "reset" {
  if (plan.answer === "close") return plan.fault === null ? "fin" : "reset";
  return plan.fault === null ? "keep" : (plan.fault as "fin" | "reset");
}

function answerBytes(plan: ChaosPlan): Buffer {
  const body = answerBody(plan);
  const head = [`HTTP/1.1 ${plan.status} Chaos`, `X-Id: ${plan.id}`, "Content-Type: text/plain"];
  if (plan.answer === "length") head.push(`Content-Length: ${body.length}`);
  if (plan.answer === "chunked") head.push("Transfer-Encoding: chunked");
  if (plan.answer === "close") head.push("Connection: close");
  const start = Buffer.from(`${head.join("\r\n")}\r\n\r\n`);
  if (plan.answer !== "chunked") return Buffer.concat([start, body]);
  return Buffer.concat([start, asChunks(body, 3_000), Buffer.from("0\r\n\r\n")]);
}

export function asChunks(body: Buffer, chunkBytes: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; at += chunkBytes) {
    const piece = body.subarray(at, at + chunkBytes);
    parts.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n"));
  }
  return Buffer.concat(parts);
}

/** Different for every id and at every place, so that bytes of another answer or from elsewhere show. */
export function payload(id: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let state = (id * 2_654_435_761 + 1) >>> 0;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}
