/** One client of the soak: it sends one request after the other and says how each ended. */
import { SoakConnection } from "./soak-connection.ts";

export interface SoakEnd {
  /** Null: the right answer, whole. */
  readonly failure: string | null;
  /** On a connection that had served a request before. */
  readonly reused: boolean;
  /** Milliseconds of `performance.now()`. */
  readonly startedMs: number;
  readonly endedMs: number;
}

export interface SoakClientOptions {
  readonly port: number;
  /** What every answer is the beginning of. */
  readonly bytes: Buffer;
  /** False: a new connection for each request. */
  readonly keepAlive: boolean;
  readonly random: () => number;
  readonly onEnd: (end: SoakEnd) => void;
}

/** Between two requests, at most. */
const REST_MS = 20;

export class SoakClient {
  readonly #options: SoakClientOptions;
  #connection: SoakConnection | null = null;

  constructor(options: SoakClientOptions) {
    this.#options = options;
  }

  /** One request after the other, until `goesOn` resolves with false. */
  async run(goesOn: () => Promise<boolean>): Promise<void> {
    const { random, onEnd, keepAlive } = this.#options;
    while (await goesOn()) {
      const startedMs = performance.now();
      const reused = this.#connection?.usable ?? false;
      const failure = await this.#request();
      onEnd({ failure, reused, startedMs, endedMs: performance.now() });
      if (!keepAlive) this.#connection?.close();
      await Bun.sleep(random() * REST_MS);
    }
    this.#connection?.close();
  }

  async #request(): Promise<string | null> {
    const { random, bytes, port, keepAlive } = this.#options;
    if (this.#connection === null || !this.#connection.usable) {
      try {
        this.#connection = await SoakConnection.open(port);
      } catch {
        return "no connection";
      }
    }
    const size = drawSize(random);
    const close = keepAlive ? "" : "Connection: close\r\n";
    if (random() < 0.3) {
      const body = bytes.subarray(0, size);
      const head = `POST / HTTP/1.1\r\nHost: soak\r\nContent-Length: ${size}\r\n${close}\r\n`;
      const sent = Buffer.concat([Buffer.from(head), body]);
      return judge(
        await this.#connection.send("POST", sent),
        Buffer.from(`${size} ${Bun.hash.crc32(body)}`),
      );
    }
    const head = `GET /bytes/${size} HTTP/1.1\r\nHost: soak\r\n${close}\r\n`;
    return judge(await this.#connection.send("GET", Buffer.from(head)), bytes.subarray(0, size));
  }
}

function judge(answer: Awaited<ReturnType<SoakConnection["send"]>>, wanted: Buffer): string | null {
  if (answer.failure !== null) return answer.failure;
  const { head, body } = answer;
  if (head.status !== 200) return `${head.status} ${codeOf(body)}`;
  return body.equals(wanted) ? null : "wrong bytes";
}

/** 1 KB to 1 MB, mostly small. */
function drawSize(random: () => number): number {
  const kind = random();
  if (kind < 0.6) return 1024;
  if (kind < 0.85) return 16 * 1024;
  return kind < 0.98 ? 128 * 1024 : 1024 * 1024;
}

/** Of an answer of the proxy's own. */
function codeOf(body: Buffer): string {
  return /"code":"(\w+)"/.exec(body.toString("latin1"))?.[1] ?? "of the backend";
}
