import { isIP } from "node:net";

/** What is wrong with this as the address of a client, as a problem's message; null: it is one. */
export function findAddressProblem(text: string): string | null {
  if (isAddress(text)) return null;
  const meant = meantBy(text);
  const hint = meant === null ? "" : `; did you mean ${JSON.stringify(meant)}?`;
  return `found ${JSON.stringify(text)}, allowed an IP address such as 192.0.2.1 or 2001:db8::1${hint}`;
}

/** A zone is known on one machine only: no client has one. */
function isAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes("%");
}

/** The address in what has a port, brackets or a network's length besides, or in a URL. */
function meantBy(text: string): string | null {
  if (text.toLowerCase() === "localhost") return "127.0.0.1";
  const [, bracketed, plain] =
    /^(?:\w+:\/\/)?(?:\[([^\]]*)\]|([\d.]+))(?:[:/].*)?$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? text.split("/", 1)[0] ?? "";
  return isAddress(address) ? address : null;
}
