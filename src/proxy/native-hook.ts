/**
 * `onNodeHTTPRequest`, the hook of Bun.serve on which Bun (1.4.5) builds its node:http, as far as we use it. Bun
 * declares no types for it and may change it: test/integration/bun-hazards-native-hook.test.ts
 * says what each part is relied on for. Field lines are flat lists: name, value, name, value.
 */

/** What `onabort` and the third argument of `ondata` tell. */
export const GONE = 1;

/** Bit of a dispatch: there is a Transfer-Encoding. */
export const HAS_TRANSFER_ENCODING = 128;

/** Bits of `auto`: fields that the runtime writes. It never writes `Connection: keep-alive` by itself. */
export const WRITE_DATE = 1;
export const WRITE_CONNECTION_CLOSE = 4;

/** In a list of fields: no body follows, and none is framed (HEAD, 204, 304). */
export const NO_BODY: readonly [string, string] = ["\0", "2"];

/** One request and the answer to it. */
export interface NativeResponse {
  /** The request's field lines as they were sent, latin-1; undefined when there are none. Once. */
  takeRawHeaders(): string[] | undefined;
  /**
   * The request's body, from the moment of the dispatch on: what comes while this is unset is lost. `event` is
   * `GONE` when the client went away or sent nonsense, and then there is no more.
   */
  ondata: ((bytes: Uint8Array | undefined, isLast: boolean, event: number) => void) | undefined;
  /** The connection has ended before the answer has, whoever ended it. */
  onabort: ((event: number) => void) | undefined;
  /** What was written has gone to the kernel, all of it. */
  onwritable: (() => void) | undefined;
  /** Bytes written and not yet taken by the kernel. */
  readonly bufferedAmount: number;
  /** Nothing is read from the connection until `resume`; a reset is noticed, a FIN is not. */
  pause(): void;
  resume(): void;
  writeContinue(): void;
  writeHead(status: number, reason: string | undefined, fields: string[], auto: number): void;
  /** A Content-Length among the fields is kept. The result is negative when not all of it has gone to the kernel. */
  writeHeadAndEnd(
    status: number,
    reason: string | undefined,
    fields: string[],
    bytes: Uint8Array | undefined,
    encoding: undefined,
    strictLength: undefined,
    auto: number,
  ): number;
  flushHeaders(): void;
  /** Negative when not all of it has gone to the kernel. */
  write(bytes: Uint8Array): number;
  end(): number;
}

/** A client's connection. */
export interface NativeSocket<Connection> {
  /** Ours to set: each dispatch hands it on. */
  duplex: Connection | null;
  onclose: (() => void) | undefined;
  /** Null: a unix socket. */
  readonly remoteAddress: { readonly address: string; readonly port: number } | null;
  /** At once; what was written and not yet taken by the kernel is lost. */
  close(): void;
  /** The same, with a RST. */
  reset(): void;
  closeWhenDrained(): void;
  /** What comes from now on is not looked at. */
  stopParsing(): void;
  /** The turn of a request that came while another was under way. False: the connection is of no use. */
  startPipelinedResponse(response: NativeResponse, ancient: boolean, close: boolean): boolean;
}

export type NativeDispatch<Connection> = (
  server: unknown,
  target: string,
  method: string,
  bits: number,
  response: NativeResponse,
  hasBody: boolean,
  socket: NativeSocket<Connection>,
  isNew: boolean,
  connection: Connection | undefined,
  /** HTTP/1.0 */
  ancient: boolean,
  head: unknown,
  /** Another request of this connection is under way. */
  pipelined: boolean,
) => Promise<void> | undefined;
