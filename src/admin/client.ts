import { formatAddress } from "../config/address.ts";
import type { SocketAddress } from "../config/config.ts";
import { RuntimeError } from "../errors.ts";

/**
 * One answer of a running master's admin API, parsed.
 *
 * Throws RuntimeError when nobody answers there, or with what the answer says is wrong.
 */
export async function askAdmin(
  target: { readonly address: SocketAddress; readonly token: string | null },
  path: string,
): Promise<unknown> {
  const { address, token } = target;
  const where = formatAddress(address);
  const url = "unix" in address ? `http://localhost${path}` : `http://${where}${path}`;
  let response: Response;
  try {
    response = await fetch(url, {
      ...("unix" in address && { unix: address.unix }),
      headers: token === null ? {} : { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(5000),
    });
  } catch (cause) {
    throw new RuntimeError(
      `nobody answers at ${where}: is leastwise running, and is this its admin address (--admin)?`,
      { cause },
    );
  }
  const text = await response.text();
  if (!response.ok) throw new RuntimeError(`${where} answered ${response.status}: ${text.trim()}`);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RuntimeError(`${where} is no admin API of leastwise`, { cause });
  }
}
