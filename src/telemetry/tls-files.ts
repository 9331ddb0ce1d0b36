import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import type { OtlpConfig, TelemetryConfig } from "../config/config.ts";
import { show } from "../config/problem.ts";
import { type Problem, RuntimeError } from "../errors.ts";

/** In PEM. Plain data: it travels to the workers. */
export interface TlsFiles {
  readonly ca?: Uint8Array;
  readonly key?: Uint8Array;
  readonly cert?: Uint8Array;
}

export type TlsFileKey = "certificate" | "clientKey" | "clientCertificate";

/** What each signal's exporter needs of the files that the config names. */
export interface ExportTls {
  readonly traces: TlsFiles;
  readonly metrics: TlsFiles;
}

/**
 * Once for the whole program: a file that is gone by the time that a worker has to be replaced must
 * not keep the new one from serving. Throws a RuntimeError that names what cannot be read.
 */
export function readExportTls({ traces, metrics }: TelemetryConfig): ExportTls {
  return {
    traces: readTlsFiles(traces?.target ?? null),
    metrics: readTlsFiles(metrics?.target ?? null),
  };
}

function readTlsFiles(config: OtlpConfig | null): TlsFiles {
  if (config === null) return {};
  const { certificate, clientKey, clientCertificate } = config;
  return {
    ...(certificate === null ? {} : { ca: read(certificate) }),
    ...(clientKey === null ? {} : { key: read(clientKey) }),
    ...(clientCertificate === null ? {} : { cert: read(clientCertificate) }),
  };
}

function read(file: string): Uint8Array {
  try {
    return readPem(file);
  } catch (error) {
    throw new RuntimeError(`cannot read ${file}: ${reasonOf(error)}`, { cause: error });
  }
}

/** More than all authorities of an operating system. */
const MAX_BYTES = 1 << 20;

/** A FIFO would be waited for, and a device may have no end. */
function readPem(file: string): Uint8Array {
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!fstatSync(descriptor).isFile()) throw new Error("it is no regular file");
    const bytes = new Uint8Array(MAX_BYTES + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read) {
      read = readSync(descriptor, bytes, length, bytes.length - length, null);
    }
    if (length > MAX_BYTES) throw new Error("it is larger than 1 MiB");
    return bytes.slice(0, length);
  } finally {
    closeSync(descriptor);
  }
}

/** Without the path, which the system's message repeats: it is named already. */
function reasonOf(error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error);
  return reason.replace(/, \w+ '[^]*$/, "");
}

/**
 * What is wrong with the files, so that a start fails before anything is bound. `pathOf` tells where
 * a key was set.
 */
export function tlsFileProblems(
  config: OtlpConfig,
  pathOf: (key: TlsFileKey) => string,
): Problem[] {
  const { clientKey, clientCertificate } = config;
  const problems: Problem[] = [];
  for (const name of ["certificate", "clientKey", "clientCertificate"] as const) {
    const file = config[name];
    if (file === null) continue;
    try {
      readPem(file);
    } catch (error) {
      const message = `found ${show(file)}, which cannot be read: ${reasonOf(error)}`;
      problems.push({ path: pathOf(name), message });
    }
  }
  if ((clientKey === null) !== (clientCertificate === null)) {
    const [given, missing] =
      clientKey === null
        ? (["clientCertificate", "clientKey"] as const)
        : (["clientKey", "clientCertificate"] as const);
    const message = `found without ${missing}, allowed both or none`;
    problems.push({ path: pathOf(given), message });
  }
  return problems;
}
