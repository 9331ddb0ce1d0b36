import { isIP } from "node:net";
import { checkServerIdentity } from "node:tls";
import { type ChannelCredentials, Client, credentials, Metadata, status } from "@grpc/grpc-js";
import type { OtlpConfig } from "../config/config.ts";
import { ExportFailure } from "./export-failure.ts";
import type { Sender } from "./retrying-transport.ts";
import { shortened } from "./shortened.ts";
import type { TlsFiles } from "./tls-files.ts";

/** OTLP specification, "OTLP/gRPC Response"; RESOURCE_EXHAUSTED counts only when the server says when. */
const RETRYABLE: readonly number[] = [
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.ABORTED,
  status.OUT_OF_RANGE,
  status.UNAVAILABLE,
  status.DATA_LOSS,
];
/** In milliseconds; the library's own two minutes would keep us silent long after a collector is back. */
const LONGEST_RECONNECT_WAIT = 5000;
/** An answer is a few bytes, decompressed; the library would take 4 MB. */
const MAX_ANSWER_BYTES = 64 * 1024;

/**
 * The library asks for an address by name, which TLS does not allow (RFC 6066, section 3) and Bun
 * refuses: this is asked for instead, and the certificate is checked for the address all the same.
 */
const NAME_FOR_ADDRESSES = "localhost";

const asIs = (message: Buffer): Buffer => message;

/**
 * OTLP/gRPC. The exporters of OpenTelemetry look for the library by its name when the program
 * already runs, and find none in an executable: only their serializers are used.
 */
export function createGrpcSender(config: OtlpConfig, tls: TlsFiles, path: string): Sender {
  const { host, hostname, protocol, port } = new URL(config.url);
  const secure = protocol === "https:";
  const client = new Client(
    // Without a port in the URL the scheme's is meant; the library would take 443 for both.
    port === "" ? `${host}:${secure ? 443 : 80}` : host,
    secure ? secureCredentials(tls, bare(hostname)) : credentials.createInsecure(),
    {
      "grpc.max_reconnect_backoff_ms": LONGEST_RECONNECT_WAIT,
      "grpc.max_receive_message_length": MAX_ANSWER_BYTES,
      "grpc.default_compression_algorithm": config.compression === "gzip" ? 2 : 0,
      ...(secure && isIP(bare(hostname)) !== 0
        ? { "grpc.ssl_target_name_override": NAME_FOR_ADDRESSES }
        : {}),
    },
  );
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(config.headers)) {
    metadata.set(name, name.endsWith("-bin") ? Buffer.from(value, "base64") : value);
  }
  return {
    send(data, timeoutMs) {
      const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
      const deadline = Date.now() + Math.max(1, timeoutMs);
      client.makeUnaryRequest(
        path,
        asIs,
        asIs,
        Buffer.from(data.buffer, data.byteOffset, data.byteLength),
        metadata,
        { deadline },
        (error, answer) => {
          if (error === null) resolve(answer ?? new Uint8Array());
          else reject(failureOf(error.code, error.details, timeoutMs, error));
        },
      );
      return promise;
    },
    close: () => client.close(),
  };
}

function secureCredentials({ ca, key, cert }: TlsFiles, hostname: string): ChannelCredentials {
  return credentials.createSsl(buffer(ca), buffer(key), buffer(cert), {
    checkServerIdentity: (_name, certificate) => checkServerIdentity(hostname, certificate),
  });
}

/** The library asks for Node's own kind of bytes, which do not survive the way to a worker. */
function buffer(bytes: Uint8Array | undefined): Buffer | null {
  return bytes === undefined ? null : Buffer.from(bytes);
}

/** `[::1]` without its brackets. */
function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, "");
}

function failureOf(
  code: number,
  details: string,
  timeoutMs: number,
  cause: unknown,
): ExportFailure {
  const said =
    code === status.DEADLINE_EXCEEDED
      ? `no answer within ${Math.round(timeoutMs)} ms`
      : // A time and an empty note come with each connection that failed.
        details.replace(/ \(\d{4}-[^)]*\)/g, "").replace(/\.? Resolution note: *$/, "");
  return new ExportFailure(`${shortened(said)} (${status[code] ?? code})`, {
    code,
    retryable: RETRYABLE.includes(code),
    // A server of HTTP/1.1 answers the preface of HTTP/2 with a text, which is no frame.
    wrongProtocol: details.includes("Protocol error"),
    cause,
  });
}
