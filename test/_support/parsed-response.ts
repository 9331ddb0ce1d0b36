import { MalformedResponse, type ParsedHead } from "../../src/transport/response-head.ts";
import { ResponseParser } from "../../src/transport/response-parser.ts";

/** Everything that a response parser said about a stream of bytes. */
export interface ParsedResponse {
  readonly head: ParsedHead | null;
  readonly body: string;
  readonly complete: boolean;
  readonly overrun: boolean;
  /** Why it was refused; null when it was not. */
  readonly refused: string | null;
}

/** Feeds the pieces one by one and, unless told otherwise, a clean end of the stream. */
export function parseResponse(
  pieces: readonly (Buffer | string)[],
  { method = "GET", thenEnd = true }: { method?: string; thenEnd?: boolean } = {},
): ParsedResponse {
  const heads: ParsedHead[] = [];
  const body: Buffer[] = [];
  const parser = new ResponseParser(method, {
    onHead: (head) => heads.push(head),
    onBody: (piece) => {
      if (piece.length === 0) throw new Error("the parser handed out an empty piece");
      body.push(piece);
    },
  });
  let refused: string | null = null;
  try {
    for (const piece of pieces)
      parser.push(typeof piece === "string" ? Buffer.from(piece, "latin1") : piece);
    if (thenEnd) parser.end();
  } catch (error) {
    if (!(error instanceof MalformedResponse)) throw error;
    refused = error.message;
  }
  if (heads.length > 1) throw new Error(`the parser reported ${heads.length} heads`);
  return {
    head: heads[0] ?? null,
    body: Buffer.concat(body).toString("latin1"),
    complete: parser.complete && refused === null,
    overrun: parser.overrun,
    refused,
  };
}
