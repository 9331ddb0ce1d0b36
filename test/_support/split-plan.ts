/** A valid exchange whose bytes are cut up, and broken off at some place or not, drawn by fast-check. */
import fc from "fast-check";
import { asChunks, payload } from "./chaos-plan.ts";

/** A place in a message, near its start or its end or anywhere. */
export interface Place {
  readonly from: "start" | "end" | "anywhere";
  /** Bytes, or for `anywhere` millionths of the length. */
  readonly offset: number;
}

export interface SplitBody {
  readonly bytes: number;
  readonly framing: "length" | "chunked" | "close";
  readonly chunkBytes: number;
}

export interface SplitPlan {
  readonly version: "1.0" | "1.1";
  readonly method: string;
  /** Null: none, and no word about it. */
  readonly requestBody: SplitBody | null;
  readonly status: number;
  readonly responseBody: SplitBody;
  /** A 1xx response goes before. */
  readonly interim: boolean;
  /** The backend answers when it has the head. */
  readonly early: boolean;
  readonly requestCuts: readonly Place[];
  readonly responseCuts: readonly Place[];
  /** Between the pieces; null: only a turn of the event loop. */
  readonly gapMs: number | null;
  readonly broken: {
    readonly side: "client" | "backend";
    readonly at: Place;
    readonly how: "fin" | "reset" | "silence";
  } | null;
}

/** One direction of it as bytes. */
export interface SplitMessage {
  /** What is sent, a write each. */
  readonly pieces: readonly Buffer[];
  /** Nothing is missing, or nothing but bytes of the empty line behind the last chunk, which the runtime does not await. */
  readonly whole: boolean;
  /** Bytes sent behind the head; null: the head is not whole. */
  readonly afterHead: number | null;
}

const place: fc.Arbitrary<Place> = fc.oneof(
  fc.record({ from: fc.constant("start" as const), offset: fc.nat(250) }),
  fc.record({ from: fc.constant("end" as const), offset: fc.nat(12) }),
  fc.record({ from: fc.constant("anywhere" as const), offset: fc.nat(999_999) }),
);
const bytes = fc.oneof(
  fc.constantFrom(0, 1, 16_384, 65_536),
  fc.nat(500),
  fc.nat(65_536),
  fc.nat(65_536),
);
const chunkBytes = fc.oneof(
  fc.integer({ min: 50, max: 400 }),
  fc.integer({ min: 400, max: 70_000 }),
);

function body<F extends SplitBody["framing"]>(...framings: F[]) {
  return fc.record({ bytes, framing: fc.constantFrom(...framings), chunkBytes });
}

const request = fc.oneof(
  fc.record({
    version: fc.constant("1.1" as const),
    method: fc.constantFrom("GET", "HEAD", "OPTIONS", "DELETE", "POST"),
    requestBody: fc.constant(null),
  }),
  fc.record({
    version: fc.constant("1.1" as const),
    method: fc.constantFrom("POST", "PUT", "PATCH", "DELETE"),
    requestBody: body("length", "chunked"),
  }),
  fc.record({
    version: fc.constant("1.0" as const),
    method: fc.constantFrom("GET", "HEAD"),
    requestBody: fc.constant(null),
  }),
  fc.record({
    version: fc.constant("1.0" as const),
    method: fc.constantFrom("POST"),
    requestBody: body("length"),
  }),
);

const how = fc.oneof(
  { weight: 4, arbitrary: fc.constant("fin" as const) },
  { weight: 4, arbitrary: fc.constant("reset" as const) },
  { weight: 1, arbitrary: fc.constant("silence" as const) },
);

export const splitPlan: fc.Arbitrary<SplitPlan> = fc
  .tuple(
    request,
    fc.record({
      status: fc.oneof(fc.constant(200), fc.constantFrom(200, 201, 204, 304, 404, 500, 503)),
      responseBody: body("length", "chunked", "close"),
      interim: fc.boolean(),
      early: fc.nat(4).map((n) => n === 4),
      requestCuts: fc.array(place, { maxLength: 8 }),
      responseCuts: fc.array(place, { maxLength: 8 }),
      gapMs: fc.constantFrom(null, null, 0, 2),
      broken: fc.option(
        fc.record({ side: fc.constantFrom("client" as const, "backend" as const), at: place, how }),
        { freq: 2, nil: null },
      ),
    }),
  )
  .map(([asked, rest]) => {
    // An answer to an HTTP/1.0 client may end with a FIN, and Bun's sockets cannot tell one from a reset that a write met.
    const writes = asked.version === "1.0" && asked.requestBody !== null;
    return { ...asked, ...rest, early: rest.early && !writes };
  });

export function isBodyless(plan: SplitPlan): boolean {
  return plan.method === "HEAD" || plan.status === 204 || plan.status === 304;
}

export function requestBodyOf(plan: SplitPlan, id: number): Buffer {
  return payload(id * 2, plan.requestBody?.bytes ?? 0);
}

export function responseBodyOf(plan: SplitPlan, id: number): Buffer {
  return isBodyless(plan) ? Buffer.alloc(0) : payload(id * 2 + 1, plan.responseBody.bytes);
}

export function requestOf(plan: SplitPlan, id: number, target: string): SplitMessage {
  const { requestBody, broken } = plan;
  const lines = [
    `${plan.method} ${target} HTTP/${plan.version}`,
    "Host: split.test",
    `X-Id: ${id}`,
  ];
  const sent = framed(lines, requestBody, requestBodyOf(plan, id));
  if (broken?.side !== "client") return cut(sent, plan.requestCuts, null);
  // A head that stops is ended by the runtime's own timer, after 12 s.
  const from = broken.how === "silence" ? sent.headBytes : 0;
  const end = from + resolve(broken.at, sent.bytes.length - from);
  const message = cut(sent, plan.requestCuts, end);
  const chunked = requestBody?.framing === "chunked";
  return { ...message, whole: chunked && end >= sent.bytes.length - 2 };
}

export function responseOf(plan: SplitPlan, id: number): SplitMessage {
  const { responseBody, broken } = plan;
  const lines = [`HTTP/1.1 ${plan.status} Split`, `X-Id: ${id}`];
  const sent = framed(
    lines,
    plan.status === 204 ? null : responseBody,
    responseBodyOf(plan, id),
    responseBody.bytes,
  );
  const hint = plan.interim ? "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n" : "";
  const whole = {
    bytes: isBodyless(plan)
      ? Buffer.concat([Buffer.from(hint), sent.bytes.subarray(0, sent.headBytes)])
      : Buffer.concat([Buffer.from(hint), sent.bytes]),
    headBytes: hint.length + sent.headBytes,
  };
  const at = broken?.side === "backend" ? resolve(broken.at, whole.bytes.length) : null;
  return cut(whole, plan.responseCuts, at);
}

interface Framed {
  readonly bytes: Buffer;
  readonly headBytes: number;
}

function framed(
  lines: string[],
  how: SplitBody | null,
  body: Buffer,
  length = body.length,
): Framed {
  const fields = {
    length: [`Content-Length: ${length}`],
    chunked: ["Transfer-Encoding: chunked"],
    close: [],
  };
  const all = [...lines, ...(how === null ? [] : fields[how.framing])];
  const head = Buffer.from(`${all.join("\r\n")}\r\n\r\n`);
  const rest =
    how?.framing === "chunked"
      ? Buffer.concat([asChunks(body, how.chunkBytes), Buffer.from("0\r\n\r\n")])
      : body;
  return { bytes: Buffer.concat([head, rest]), headBytes: head.length };
}

/** Within 0 to `length` - 1: of what is broken off there, at least the last byte is missing. */
function resolve({ from, offset }: Place, length: number): number {
  const last = length - 1;
  if (from === "anywhere") return Math.floor((offset / 1_000_000) * length);
  return from === "start" ? Math.min(offset, last) : Math.max(0, last - offset);
}

function cut(
  { bytes, headBytes }: Framed,
  cuts: readonly Place[],
  stopAt: number | null,
): SplitMessage {
  const end = stopAt ?? bytes.length;
  const places = cuts.map((each) => resolve(each, bytes.length)).filter((at) => at > 0 && at < end);
  const edges = [0, ...new Set(places.toSorted((a, b) => a - b)), end];
  const pieces = edges.slice(1).map((to, index) => bytes.subarray(edges[index], to));
  return {
    pieces: pieces.filter(({ length }) => length > 0),
    whole: stopAt === null,
    afterHead: end < headBytes ? null : end - headBytes,
  };
}
