import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { OtlpConfig } from "../config/config.ts";
import { ExportFailure } from "./export-failure.ts";
import { shortened } from "./shortened.ts";
import type { Sender } from "./retrying-transport.ts";
import type { TlsFiles } from "./tls-files.ts";

const compress = promisify(gzip);
/** OTLP specification, "OTLP/HTTP Response": these, and only these, may be tried again. */
const RETRYABLE: readonly number[] = [429, 502, 503, 504];
/** Of the network's errors, those that do not pass by themselves. */
const LASTING: readonly unknown[] = ["Malformed_HTTP_Response", "EPROTO"];
/** An answer is a few bytes; whoever sends more is no collector. */
const MAX_ANSWER_BYTES = 1 << 20;
/** `decompress` is missing in Bun's types. */
const PLAIN = { method: "POST", redirect: "manual", decompress: false } as const;

/**
 * OTLP/HTTP by `fetch`. A redirect is a failure: it would take the headers with their credentials along.
 * Nothing is decompressed: 2 kB can become 2 GB before anybody could count them.
 */
export function createHttpSender(config: OtlpConfig, tls: TlsFiles): Sender {
  const contentType =
    config.protocol === "http/json" ? "application/json" : "application/x-protobuf";
  const isGzip = config.compression === "gzip";
  const headers = {
    ...config.headers,
    "accept-encoding": "identity",
    "content-type": contentType,
    ...(isGzip ? { "content-encoding": "gzip" } : {}),
  };
  return {
    async send(data, timeoutMs) {
      const signal = AbortSignal.timeout(Math.max(1, Math.ceil(timeoutMs)));
      try {
        const body = isGzip ? await compress(data) : data;
        const response = await fetch(config.url, { ...PLAIN, headers, body, signal, tls });
        const answer = await readAnswer(response);
        if (response.ok) return answer;
        throw refusal(response);
      } catch (error) {
        if (error instanceof ExportFailure) throw error;
        throw networkFailure(error, timeoutMs);
      }
    },
    close() {},
  };
}

async function readAnswer(response: Response): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > MAX_ANSWER_BYTES) {
      throw new ExportFailure("the answer is too long", { retryable: false });
    }
    parts.push(part);
  }
  // Only a note about spans that were not taken can be in it: encoded against our wish it is not read.
  return isEncoded(response) ? new Uint8Array() : Buffer.concat(parts);
}

function isEncoded({ headers }: Response): boolean {
  return !["", "identity"].includes(headers.get("content-encoding")?.trim().toLowerCase() ?? "");
}

function refusal({ status, statusText, headers }: Response): ExportFailure {
  const after = Number(headers.get("retry-after")?.trim() || Number.NaN);
  return new ExportFailure(`${shortened(statusText)} (${status})`.trim(), {
    code: status,
    retryable: RETRYABLE.includes(status),
    retryAfterMs: after >= 0 ? after * 1000 : null,
  });
}

function networkFailure(error: unknown, timeoutMs: number): ExportFailure {
  if (!(error instanceof Error)) return new ExportFailure(String(error), { retryable: false });
  if (error.name === "TimeoutError") {
    const message = `no answer within ${Math.round(timeoutMs)} ms`;
    return new ExportFailure(message, { code: "ETIMEDOUT", retryable: true, cause: error });
  }
  const code = "code" in error ? (error.code as string | number) : null;
  // Bun's messages go on to give advice to programmers.
  const [said = error.message] = error.message.split(/\. (?=For more|Is the computer)/);
  return new ExportFailure(shortened(said), {
    code,
    retryable: !LASTING.includes(code),
    wrongProtocol: code === "Malformed_HTTP_Response",
    cause: error,
  });
}
