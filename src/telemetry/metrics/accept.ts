import type { Format } from "./exposition.ts";

/**
 * The format that an Accept field likes best (RFC 9110, section 12.5.1); of two that it likes alike
 * the one it names first. Text where it names neither, and without a field: nobody is refused, as
 * Prometheus' own libraries have it.
 */
export function chooseFormat(accept: string | null): Format {
  let best: { readonly format: Format; readonly quality: number } | null = null;
  for (const item of (accept ?? "").split(",")) {
    const [type = "", ...parameters] = item.split(";").map((part) => part.trim().toLowerCase());
    const format = formatOf(type, parameters);
    const quality = qualityOf(parameters);
    if (format !== null && quality > (best?.quality ?? 0)) best = { format, quality };
  }
  return best?.format ?? "text";
}

function formatOf(type: string, parameters: readonly string[]): Format | null {
  if (type === "text/plain" || type === "text/*" || type === "*/*") return "text";
  if (type !== "application/openmetrics-text") return null;
  const version = valueOf(parameters, "version");
  return version === null || version === "1.0.0" || version === "0.0.1" ? "openmetrics" : null;
}

function qualityOf(parameters: readonly string[]): number {
  const quality = Number(valueOf(parameters, "q") ?? 1);
  return Number.isNaN(quality) ? 0 : quality;
}

function valueOf(parameters: readonly string[], name: string): string | null {
  const found = parameters.find((parameter) => parameter.startsWith(`${name}=`));
  return found?.slice(name.length + 1).replaceAll('"', "") ?? null;
}
