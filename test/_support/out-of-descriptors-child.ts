/**
 * Sends to a backend with every descriptor of the process taken, and again when they are free. Run by
 * transport-connections.test.ts under a low limit; the argument is the backend's port.
 */
import { closeSync, openSync } from "node:fs";
import { devNull } from "node:os";
import type { ProxyError } from "../../src/errors.ts";
import { bodyless, errorOf, fetchText, transportTo } from "./transport.ts";

const transport = transportTo({
  address: { hostname: "127.0.0.1", port: Number(process.argv[2]) },
});
const taken: number[] = [];
try {
  for (;;) taken.push(openSync(devNull, "r"));
} catch {
  // All of them.
}
const { code, source, retry } = (await errorOf(transport.send(bodyless()).response)) as ProxyError;
for (const descriptor of taken) closeSync(descriptor);
const after = await fetchText(transport, bodyless());
console.log(JSON.stringify({ without: { code, source, retry }, after }));
process.exit();
