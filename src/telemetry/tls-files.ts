import { readFileSync } from "node:fs";
import type { OtlpConfig } from "../config/config.ts";
import type { Problem } from "../errors.ts";

export interface TlsFiles {
  readonly ca?: Buffer;
  readonly key?: Buffer;
  readonly cert?: Buffer;
}

/** Throws when a file cannot be read. */
export function readTlsFiles(config: OtlpConfig): TlsFiles {
  const { certificate, clientKey, clientCertificate } = config;
  return {
    ...(certificate === null ? {} : { ca: readFileSync(certificate) }),
    ...(clientKey === null ? {} : { key: readFileSync(clientKey) }),
    ...(clientCertificate === null ? {} : { cert: readFileSync(clientCertificate) }),
  };
}

/** What is wrong with the files, so that a start fails before anything is bound. */
export function tlsFileProblems(config: OtlpConfig, path: string): Problem[] {
  const { clientKey, clientCertificate } = config;
  const problems: Problem[] = [];
  for (const name of ["certificate", "clientKey", "clientCertificate"] as const) {
    const file = config[name];
    if (file === null) continue;
    try {
      readFileSync(file);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      problems.push({
        path: `${path}.${name}`,
        message: `found ${JSON.stringify(file)}, which cannot be read: ${reason}`,
      });
    }
  }
  if ((clientKey === null) !== (clientCertificate === null)) {
    const [given, missing] =
      clientKey === null
        ? (["clientCertificate", "clientKey"] as const)
        : (["clientKey", "clientCertificate"] as const);
    const message = `found without ${missing}, allowed both or none`;
    problems.push({ path: `${path}.${given}`, message });
  }
  return problems;
}
