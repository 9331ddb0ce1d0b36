import { parseResponse } from "../_support/parsed-response.ts";

export interface FuzzReport {
  /** How many inputs came out how. */
  readonly counts: Readonly<Record<"complete" | "incomplete" | "overrun" | "refused", number>>;
  /** The first of what must not be. */
  readonly findings: readonly { readonly input: string; readonly problem: string }[];
}

const MAX_FINDINGS = 10;

/** Parts of real responses, so that the noise gets past the first byte. */
const PARTS = [
  "HTTP/1.1 200 OK\r\n",
  "HTTP/1.0 404 Not Found\r\n",
  "HTTP/1.1 204 \r\n",
  "HTTP/1.1 304 X\r\n",
  "HTTP/1.1 100 Continue\r\n\r\n",
  "HTTP/1.1 101 Switching\r\n\r\n",
  "Content-Length: 3\r\n",
  "Content-Length: 3, 3\r\n",
  "Content-Length: -1\r\n",
  "Content-Length: 99999999999999999999\r\n",
  "Transfer-Encoding: chunked\r\n",
  "transfer-encoding: gzip, chunked\r\n",
  "Connection: close, keep-alive\r\n",
  "Keep-Alive: timeout=5\r\n",
  "X: \xe9\r\n",
  "X : y\r\n",
  " folded\r\n",
  "\r\n",
  "\r\n\r\n",
  "\n",
  "\r",
  ":",
  "abc",
  "3\r\nabc\r\n",
  "3;a=b\r\nabc\r\n",
  "0\r\n\r\n",
  "0\r\nT: v\r\n\r\n",
  "ffffffffffffffff",
  "\0",
] as const;

/** Feeds that many inputs, each whole and in pieces. `random` is uniform in [0, 1). */
export function fuzzResponseParser(random: () => number, inputs: number): FuzzReport {
  const counts = { complete: 0, incomplete: 0, overrun: 0, refused: 0 };
  const findings: { input: string; problem: string }[] = [];
  for (let i = 0; i < inputs && findings.length < MAX_FINDINGS; i++) {
    const input = drawInput(random);
    const method = random() < 0.2 ? "HEAD" : "GET";
    try {
      const whole = verdict([input], method);
      const cut = verdict(pieces(random, input), method);
      if (!Bun.deepEquals(whole, cut)) {
        findings.push({ input, problem: "cut up, it is read differently" });
      }
      const { refused, overrun, complete } = whole;
      counts[refused ? "refused" : overrun ? "overrun" : complete ? "complete" : "incomplete"]++;
    } catch (error) {
      findings.push({ input, problem: `threw ${error instanceof Error ? error.stack : error}` });
    }
  }
  return { counts, findings };
}

/** Not the reason of a refusal: two faults in one head may be found in either order. */
function verdict(pieces: readonly string[], method: string) {
  const parsed = parseResponse(pieces, { method });
  return { ...parsed, refused: parsed.refused !== null };
}

function drawInput(random: () => number): string {
  // Mostly a plausible start: else nearly all inputs end at the status line.
  let input = random() < 0.8 ? "HTTP/1.1 200 OK\r\n" : "";
  for (let parts = Math.floor(random() * 10); parts > 0; parts--) {
    input +=
      random() < 0.9
        ? PARTS[Math.floor(random() * PARTS.length)]
        : String.fromCharCode(Math.floor(random() * 256));
  }
  // And one byte changed, left out or doubled.
  const at = Math.floor(random() * input.length);
  const mutation = random();
  if (mutation < 0.1) {
    const byte = String.fromCharCode(Math.floor(random() * 256));
    return input.slice(0, at) + byte + input.slice(at + 1);
  }
  if (mutation < 0.2) return input.slice(0, at) + input.slice(at + 1);
  if (mutation < 0.3) return input.slice(0, at + 1) + input.slice(at);
  return input;
}

function pieces(random: () => number, input: string): string[] {
  const cut: string[] = [];
  for (let at = 0; at < input.length;) {
    const to = at + 1 + Math.floor(random() * 30);
    cut.push(input.slice(at, to));
    at = to;
  }
  return cut;
}
