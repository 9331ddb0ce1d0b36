import { type IncomingMessage, request as send } from "node:http";
import { authorityOf, formatAddress } from "../config/address.ts";
import type { SocketAddress } from "../config/config.ts";
import { ADMIN_TOKEN_VARIABLE } from "../config/overlay.ts";
import { RuntimeError } from "../errors.ts";

/** Far more than any answer of the API; a stranger's answer must not fill the memory. */
const MAX_BYTES = 64 * 1024 * 1024;

export interface AdminTarget {
  readonly address: SocketAddress;
  readonly token: string | null;
}

/** What is asked of a master, beside the path. */
export interface AdminQuestion {
  /** Default: GET. */
  readonly method?: "GET" | "POST";
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Default: 5000. */
  readonly timeoutMs?: number;
  /** Statuses beside 200 that are answers, too. */
  readonly statuses?: readonly number[];
}

/**
 * One answer of a running master's admin API, parsed.
 *
 * Throws RuntimeError when nobody answers there, or with what the answer says is wrong.
 */
export async function askAdmin(
  target: AdminTarget,
  path: string,
  question: AdminQuestion = {},
): Promise<unknown> {
  const where = formatAddress(target.address);
  const { method = "GET", body, timeoutMs = 5000, statuses = [] } = question;
  let answer: Answer;
  try {
    const text = body === undefined ? null : JSON.stringify(body);
    answer = await request(target, path, method, text, timeoutMs);
  } catch (cause) {
    throw new RuntimeError(describeFailure(cause, where, { method, timeoutMs }), { cause });
  }
  const { status, type, text } = answer;
  const value = parseJson(text);
  const isAnswer = status === 200 || statuses.includes(status);
  if (isAnswer && value !== undefined) return value;
  const message = isAnswer ? null : errorMessage(value);
  if (message === null) {
    const what = `it answered ${status} with ${type}`;
    throw new RuntimeError(`${where} is no admin address of leastwise (${what})`);
  }
  throw new RuntimeError(`${where} answered ${status}: ${message}${hint(target, status)}`);
}

function describeFailure(
  cause: unknown,
  where: string,
  { method, timeoutMs }: Required<Pick<AdminQuestion, "method" | "timeoutMs">>,
): string {
  const { name, code } = cause as { name?: unknown; code?: unknown };
  const undecided =
    method === "POST" ? " What was asked may have been done: leastwise status shows." : "";
  if (name === "TimeoutError")
    return `no answer from ${where} within ${timeoutMs / 1000} s.${undecided}`;
  if (code === "ECONNRESET") {
    return `${where} ended the connection before it had answered: has leastwise been stopped?${undecided}`;
  }
  return `nobody answers at ${where}: is leastwise running, and is this its admin address (--admin)?`;
}

interface Answer {
  readonly status: number;
  /** Media type, without parameters. */
  readonly type: string;
  readonly text: string;
}

/** Over node:http and not fetch, which sends the request and its token to the proxy of HTTP_PROXY. */
function request(
  { address, token }: AdminTarget,
  path: string,
  method: string,
  body: string | null,
  timeoutMs: number,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const sent = send(
    {
      method,
      ...("unix" in address
        ? { socketPath: address.unix }
        : { host: address.hostname, port: address.port }),
      path,
      headers: {
        host: authorityOf(address),
        ...(token !== null && { authorization: `Bearer ${token}` }),
        ...(body !== null && { "content-type": "application/json" }),
      },
      agent: false,
      signal: AbortSignal.timeout(timeoutMs),
    },
    (response) => {
      const status = response.statusCode ?? 0;
      const type = response.headers["content-type"]?.split(";", 1)[0] ?? "no content type";
      read(response).then((text) => resolve({ status, type, text }), reject);
    },
  );
  sent.on("error", reject);
  sent.end(body);
  return promise;
}

async function read(response: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > MAX_BYTES) throw new Error(`an answer of more than ${MAX_BYTES} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not from the API.
    return undefined;
  }
}

/** The API's own words; null when this is not from the API. */
function errorMessage(value: unknown): string | null {
  const { error } = (value ?? {}) as { error?: { message?: unknown } | null };
  return typeof error?.message === "string" ? error.message : null;
}

function hint({ token }: AdminTarget, status: number): string {
  if (status !== 401) return "";
  return token === null
    ? `; set ${ADMIN_TOKEN_VARIABLE}, or use the config file that has the token (--config)`
    : "; the token that was sent is not the right one";
}
