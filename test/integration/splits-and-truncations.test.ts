/**
 * Random valid exchanges whose bytes are cut at random places, both ways, and some of which are broken off by their
 * client or their backend (case I05): each ends in one of four declared ways, a broken one never looks whole, and one
 * that nobody broke off is always whole.
 *
 *     SPLITS_RUNS=20000 SPLITS_SEED=7 bun test test/integration/splits-and-truncations.test.ts
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { BUILD_TIMEOUT_MS } from "../_support/binary.ts";
import { type FakeRequest, type FakeWire, startFakeBackend } from "../_support/fake-backend.ts";
import { parseResponse } from "../_support/parsed-response.ts";
import { isQuiet, type Proxy, startProxy } from "../_support/proxy.ts";
import { connectRaw } from "../_support/raw-client.ts";
import {
  isBodyless,
  requestBodyOf,
  requestOf,
  responseBodyOf,
  responseOf,
  type SplitMessage,
  type SplitPlan,
  splitPlan,
} from "../_support/split-plan.ts";

const RUNS = Number(process.env["SPLITS_RUNS"] ?? 400);
const SEED = Number(process.env["SPLITS_SEED"] ?? 20_261_122);
/** Exchanges at the same time, at most; half of it on average. */
const TOGETHER = 20;
/** Nothing takes a tenth of it: what has not ended by then never will. */
const HANG_MS = 10_000;

type End = "complete" | "broken" | "rejected" | "timeout";

const backend = startFakeBackend({ answerAt: "head" });
let proxy: Proxy;

beforeAll(async () => {
  const pool = {
    backends: [backend.url],
    health: false,
    ejection: false,
    // Below the largest bodies, so that answers are sent whole and streamed.,
  } as const;
  proxy = await startProxy({
    config: {
      workers: 1,
      pools: {
        patient: pool,
        impatient: { ...pool, timeouts: { firstByte: "150ms", idle: "150ms" } },
      },
      routes: [
        { path: "/impatient/*", pool: "impatient" },
        { path: "/patient/*", pool: "patient" },
      ],
    },
  });
}, BUILD_TIMEOUT_MS);

afterAll(async () => {
  expect(await proxy.stop()).toBe(0);
  backend.stop();
});

test(
  "however an exchange is cut up and wherever it breaks off, it ends in a declared way [E07, E09, E10, E11]",
  async () => {
    console.log(`splits: SPLITS_SEED=${SEED} SPLITS_RUNS=${RUNS}`);
    const ends: Record<End, number> = { complete: 0, broken: 0, rejected: 0, timeout: 0 };
    let ids = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(splitPlan, { minLength: 1, maxLength: TOGETHER, size: "max" }),
        async (plans) => {
          const exchanges = new Map(
            plans.map((plan) => {
              const exchange = new Exchange(plan, ids++);
              return [exchange.target, exchange] as const;
            }),
          );
          backend.requests.length = 0;
          backend.handler = (request, wire) => exchanges.get(request.target)?.answer(request, wire);
          const all = [...exchanges.values()];
          for (const end of await Promise.all(all.map((each) => each.run(proxy.port)))) ends[end]++;
          expect(all.flatMap((each) => each.findings)).toEqual([]);
          expect(backend.refused.splice(0)).toEqual([]);
        },
      ),
      {
        numRuns: Math.ceil((RUNS * 2) / TOGETHER),
        seed: SEED,
        interruptAfterTimeLimit: 60_000 + RUNS * 60,
        markInterruptAsFailure: true,
      },
    );
    console.log(`splits: ${JSON.stringify(ends)}`);
    for (const [end, count] of Object.entries(ends)) expect([end, count]).not.toEqual([end, 0]);
    await proxy.until("nothing in flight", isQuiet);
    expect(proxy.log()).not.toContain("internal_error");
    expect((await proxy.workers()).map((worker) => worker.restarts)).toEqual([0]);
  },
  120_000 + RUNS * 60,
);

test("a chunked request counts as whole with the empty line behind its last chunk, not before", async () => {
  backend.handler = async (request, wire) => {
    await backend.until(() => request.complete || wire.end !== null);
    return request.complete ? `${request.target} ${request.text}` : null;
  };
  const start = "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
  for (const sent of ["", "0", "0\r", "0\r\n", "0\r\n\r"]) {
    const connection = await connectRaw(proxy.port);
    const seen = backend.requests.length;
    connection.send(`POST /patient/cut HTTP/1.1\r\n${start}${sent}`);
    await backend.until(() => backend.requests[seen]?.text === "hello");
    connection.halfClose();
    await backend.until(() => backend.requests[seen]?.brokenOff !== null);
    await connection.closed;
    expect(connection.received()).toBe("");
  }
  expect(backend.refused).toEqual([]);
});

/** One exchange, and what each side sees of it. */
class Exchange {
  readonly target: string;
  readonly findings: string[] = [];
  readonly #plan: SplitPlan;
  readonly #id: number;
  readonly #request: SplitMessage;
  readonly #response: SplitMessage;
  readonly #sightings: { request: FakeRequest; wire: FakeWire }[] = [];

  constructor(plan: SplitPlan, id: number) {
    // A request without a body has no place at which it could stop but in its head.
    const stops = plan.broken?.side === "client" && !hasBodyBytes(plan);
    this.#plan =
      stops && plan.broken?.how === "silence"
        ? { ...plan, broken: { ...plan.broken, how: "reset" } }
        : plan;
    this.#id = id;
    this.target = `/${this.#plan.broken?.how === "silence" ? "impatient" : "patient"}/${id}`;
    this.#request = requestOf(this.#plan, id, this.target);
    this.#response = responseOf(this.#plan, id);
  }

  /** The backend's part. */
  async answer(request: FakeRequest, wire: FakeWire): Promise<null | undefined> {
    this.#sightings.push({ request, wire });
    const { early, gapMs, broken, responseBody } = this.#plan;
    if (!early) await backend.until(() => request.complete || wire.end !== null);
    for (const piece of this.#response.pieces) {
      if (wire.end !== null) return undefined;
      await wire.write(piece);
      await pause(gapMs);
    }
    if (broken?.side === "backend") {
      if (broken.how === "silence") return null;
      if (broken.how === "fin") wire.fin();
      else wire.reset();
    } else if (responseBody.framing === "close" && !isBodyless(this.#plan)) wire.fin();
    return undefined;
  }

  async run(port: number): Promise<End> {
    const end = await this.#ask(port);
    await this.#judgeBackend();
    return end;
  }

  async #ask(port: number): Promise<End> {
    const { method, broken, gapMs } = this.#plan;
    const connection = await connectRaw(port);
    const parse = (text: string) => parseResponse([text], { method, thenEnd: false });
    const answered = connection.until((text) => {
      const { complete, refused } = parse(text);
      return complete || refused !== null;
    });
    const over = Promise.race([
      answered.then(
        () => null,
        () => connection.closed,
      ),
      Bun.sleep(HANG_MS).then(() => "hang" as const),
    ]);
    for (const piece of this.#request.pieces) {
      connection.send(piece);
      await pause(gapMs);
    }
    if (broken?.side === "client" && broken.how === "fin") connection.halfClose();
    if (broken?.side === "client" && broken.how === "reset") connection.reset();
    const how = await over;
    const text = connection.received();
    connection.end();
    if (how === "hang") this.findings.push(`${this.#what} did not end: ${JSON.stringify(text)}`);
    // What a client sees that has reset the connection itself says nothing about a FIN.
    const left = broken?.side === "client" && broken.how === "reset";
    return this.#judgeClient(text, how === "fin" && !left);
  }

  #judgeClient(text: string, fin: boolean): End {
    const parsed = parseResponse([text], { method: this.#plan.method, thenEnd: fin });
    const { head, body, complete, overrun, refused } = parsed;
    const field = (name: string) =>
      head?.headers.find(([known]) => known.toLowerCase() === name)?.[1];
    const find = (problem: string) => {
      this.findings.push(
        `${this.#what}: ${problem}: ${JSON.stringify({ ...parsed, body: body.slice(0, 300) })}`,
      );
    };
    if (refused !== null || overrun) find("an answer that is none");
    if (field("proxy-status") !== undefined || (head !== null && field("x-id") === undefined)) {
      const end = head?.status === 408 || head?.status === 504 ? "timeout" : "rejected";
      if (!complete) find("not even the refusal is whole");
      else if (!/^\{"error":\{"code":"[a-z_]+"/.test(body) && this.#plan.method !== "HEAD") {
        find("a refusal without a code");
      }
      this.#expect(end, find);
      return end;
    }
    const expected = responseBodyOf(this.#plan, this.#id).toString("latin1");
    if (head !== null && field("x-id") !== String(this.#id)) find("somebody else's answer");
    if (head !== null && head.status !== this.#plan.status) find("another status");
    if (!expected.startsWith(body)) find("other bytes");
    if (complete && body.length !== this.#sentBody(expected.length)) find("it looks whole");
    const end = complete ? "complete" : "broken";
    this.#expect(end, find);
    return end;
  }

  /** A body that ends with its connection is what came before a FIN, wherever that comes. */
  #sentBody(length: number): number {
    const { responseBody } = this.#plan;
    const untilClose = responseBody.framing === "close" && !isBodyless(this.#plan);
    return untilClose ? (this.#response.afterHead ?? 0) : length;
  }

  #expect(end: End, find: (problem: string) => void): void {
    const { broken, early, responseBody } = this.#plan;
    const allowed: End[] = [];
    if (broken === null) allowed.push("complete");
    else if (broken.how === "silence") allowed.push("broken", "timeout");
    else allowed.push("broken", "rejected");
    if (broken?.side === "client" && (early || this.#request.whole)) allowed.push("complete");
    const wholeByFin = responseBody.framing === "close" && this.#response.afterHead !== null;
    if (broken?.side === "backend" && broken.how === "fin" && wholeByFin) allowed.push("complete");
    if (!allowed.includes(end)) find(`it ended ${end}, not ${allowed.join(" or ")}`);
  }

  async #judgeBackend(): Promise<void> {
    const { broken, early, method } = this.#plan;
    const sent = requestBodyOf(this.#plan, this.#id);
    const ended = backend.until(() => {
      return this.#sightings.every(({ request, wire }) => {
        // Nobody but the proxy ends one that it left in silence.
        if (broken?.how === "silence" && broken.side === "backend") return wire.end !== null;
        return request.complete || request.brokenOff !== null || wire.end !== null;
      });
    });
    const hang = Bun.sleep(HANG_MS).then(() => "hang");
    if ((await Promise.race([ended, hang])) === "hang") {
      this.findings.push(`${this.#what} did not end at the backend`);
    }
    for (const { request } of this.#sightings) {
      const { complete, body } = request;
      const find = (problem: string) => {
        this.findings.push(`${this.#what}: at the backend: ${problem} (${body.length} bytes)`);
      };
      if (complete && !this.#request.whole) find("a request that was broken off looks whole");
      if (!sent.subarray(0, body.length).equals(body)) find("other bytes");
      if (complete && body.length !== sent.length) find("it looks whole");
      if (!complete && broken === null && !early) find("it is not whole");
      if (request.method !== method) find("another method");
    }
    const seen = this.#sightings.length;
    // Over a fresh connection once more, when a reused one ended before the first byte of an answer.
    const repeatable = !["POST", "PATCH"].includes(method) && broken?.side === "backend";
    if (seen > (repeatable ? 2 : 1) || (seen === 0 && broken?.side !== "client")) {
      this.findings.push(`${this.#what} was seen ${seen} times`);
    }
  }

  get #what(): string {
    return `exchange ${this.#id} ${JSON.stringify(this.#plan)}`;
  }
}

function hasBodyBytes({ requestBody }: SplitPlan): boolean {
  return requestBody !== null && (requestBody.framing === "chunked" || requestBody.bytes > 0);
}

async function pause(gapMs: number | null): Promise<void> {
  if (gapMs === null) await new Promise((resolve) => setImmediate(resolve));
  else await Bun.sleep(gapMs);
}
