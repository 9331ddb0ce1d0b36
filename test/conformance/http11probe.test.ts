/**
 * The requests of Http11Probe (see NOTICE), byte by byte, through the compiled binary. Each lane is a
 * proxy and a backend of its own, so that whatever a backend receives belongs to the one case that is
 * under way in its lane.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { BUILD_TIMEOUT_MS } from "../_support/binary.ts";
import { type FakeBackend, startFakeBackend } from "../_support/fake-backend.ts";
import { type Proxy, startProxy } from "../_support/proxy.ts";
import { connectRaw, exchangeRaw } from "../_support/raw-client.ts";
import corpus from "./http11probe.json" with { type: "json" };

/** Cases that must be rejected and are not, with the reason; named in the README too. */
const ACCEPTED: Readonly<Record<string, string>> = {
  "SMUG-CHUNK-BARE-SEMICOLON":
    "the runtime takes `5;` for a chunk size with an empty extension; what goes on is framed anew",
};

/**
 * The corpus writes every byte beyond ASCII as `?`, which makes these two targets valid. Sent with such
 * bytes again: what the cases are about.
 */
const RESTORED: Readonly<Record<string, readonly [written: string, meant: string]>> = {
  "MAL-NON-ASCII-URL": ["/caf??", "/caf\xc3\xa9"],
  "MAL-URL-OVERLONG-UTF8": ["/??", "/\xc0\xaf"],
};

/** Valid requests that are rejected: limits of the runtime, named in the README. */
const REFUSED: Readonly<Record<string, string>> = {
  "COMP-OPTIONS-STAR": "the runtime answers `OPTIONS *` with 400",
};

/** The 5xx that are right. 501: what we do not do. 505: what the runtime reads as another version. */
const NOT_DONE: Readonly<Record<string, string[]>> = {
  501: [
    "COMP-METHOD-CONNECT",
    "COMP-UPGRADE-INVALID-VER",
    "COMP-UPGRADE-POST",
    "COMP-UPGRADE-UNKNOWN",
  ],
  505: [
    "COMP-HTTP12-VERSION",
    "COMP-REQUEST-LINE-TAB",
    "COMP-VERSION-LEADING-ZEROS",
    "COMP-VERSION-MISSING-MINOR",
    "COMP-VERSION-WHITESPACE",
    "RFC9112-2.2-BARE-LF-REQUEST-LINE",
    "RFC9112-2.3-HTTP09-REQUEST",
    "RFC9112-2.3-INVALID-VERSION",
    "RFC9112-3-CR-ONLY-LINE-ENDING",
  ],
};

const LANES = 4;
/** A request that may be held open, and is neither answered nor closed for this long, is: as good as rejected. */
const SILENCE_MS = 1000;
/** For all others, which are answered or closed: longer than that takes on any machine. */
const PATIENCE_MS = 15_000;

interface Case {
  readonly id: string;
  readonly expected: string;
  readonly request: string;
}

interface Outcome extends Case {
  readonly statuses: readonly number[];
  /** Requests whose head reached the backend, and of those the ones that got there whole. */
  readonly begun: number;
  readonly whole: number;
  /** What a client that came just afterwards was told, and should have been. */
  readonly canary: string;
  readonly canaryExpected: string;
}

interface Lane {
  readonly backend: FakeBackend;
  readonly proxy: Proxy;
}

const cases: readonly Case[] = corpus.cases;
let lanes: Lane[] = [];
let outcomes: Outcome[] = [];

beforeAll(async () => {
  lanes = await Promise.all(Array.from({ length: LANES }, startLane));
  const played = await Promise.all(
    lanes.map((lane, index) =>
      play(
        lane,
        cases.filter((_, at) => at % LANES === index),
      ),
    ),
  );
  outcomes = played.flat();
}, BUILD_TIMEOUT_MS);

afterAll(async () => {
  const codes = await Promise.all(lanes.map(({ proxy }) => proxy.stop()));
  for (const { backend } of lanes) backend.stop();
  expect(codes).toEqual(lanes.map(() => 0));
});

async function startLane(): Promise<Lane> {
  const backend = startFakeBackend((request) => `answer to ${request.target}`);
  const proxy = await startProxy({
    config: { pools: { web: { backends: [backend.url], health: false } }, workers: 1 },
  });
  return { backend, proxy };
}

async function play(lane: Lane, some: readonly Case[]): Promise<Outcome[]> {
  const done: Outcome[] = [];
  for (const one of some) done.push(await playCase(lane, one));
  return done;
}

async function playCase({ backend, proxy }: Lane, one: Case): Promise<Outcome> {
  const before = backend.requests.length;
  const path = `/canary/${one.id}`;
  const connection = await connectRaw(proxy.port);
  connection.send(requestOf(one));
  const silence = Promise.withResolvers<void>();
  const isHeld = one.expected.includes("timeout");
  const timer = setTimeout(silence.resolve, isHeld ? SILENCE_MS : PATIENCE_MS);
  // The rejection says that the connection ended, and that is what we wait for too.
  const isWhole = (received: string): boolean => isAnswered(one, received);
  const answered = connection.until(isWhole).catch(() => undefined);
  await Promise.race([answered, connection.closed, silence.promise]);
  clearTimeout(timer);
  // The connection stays open meanwhile: a second answer or request hidden in it has time to show.
  const canary = await exchangeRaw(
    proxy.port,
    `GET ${path} HTTP/1.1\r\nHost: canary.example\r\nConnection: close\r\n\r\n`,
  );
  connection.reset();
  const own = backend.requests.slice(before).filter(({ target }) => target !== path);
  return {
    ...one,
    statuses: statusesIn(connection.received()),
    begun: own.length,
    whole: own.filter(({ complete }) => complete).length,
    canary: canary.slice(canary.indexOf("\r\n\r\n") + 4),
    canaryExpected: `answer to ${path}`,
  };
}

function requestOf({ id, request }: Case): string {
  const [written, meant] = RESTORED[id] ?? ["", ""];
  if (!request.includes(written)) throw new Error(`${id} does not hold ${written}`);
  return request.replace(written, meant);
}

function statusesIn(received: string): number[] {
  return [...received.matchAll(/HTTP\/1\.[01] (\d{3})/g)].map(([, code]) => Number(code));
}

/** A whole answer is there: interim ones do not count. */
function isAnswered({ request }: Case, received: string): boolean {
  const rest = received.replace(/^(?:HTTP\/1\.1 1\d\d[^]*?\r\n\r\n)+/, "");
  const end = rest.indexOf("\r\n\r\n");
  if (end === -1) return false;
  if (request.startsWith("HEAD ")) return true;
  const length = /\r\ncontent-length: *(\d+)/i.exec(rest.slice(0, end + 2))?.[1];
  return length !== undefined && rest.length >= end + 4 + Number(length);
}

/** By the corpus: nothing that allows success. */
function mustBeRejected({ expected }: Case): boolean {
  return !/2xx|200|!101/.test(expected);
}

/** The answer, not counting an interim one; undefined: closed or held without one. */
function finalStatus({ statuses }: Outcome): number | undefined {
  return statuses.find((status) => status >= 200);
}

function hasSucceeded(outcome: Outcome): boolean {
  const status = finalStatus(outcome);
  return status !== undefined && status < 300;
}

function ids(some: readonly Outcome[]): string[] {
  return some.map(({ id }) => id).toSorted();
}

describe("of the 135 requests of Http11Probe", () => {
  test("all were sent, and 73 have to be rejected", () => {
    expect(ids(outcomes)).toEqual(cases.map(({ id }) => id).toSorted());
    expect(outcomes).toHaveLength(135);
    expect(outcomes.filter(mustBeRejected)).toHaveLength(73);
  });

  test("of those that have to be rejected only the explained one is accepted", () => {
    const accepted = outcomes.filter(
      (each) => mustBeRejected(each) && (each.whole > 0 || hasSucceeded(each)),
    );
    expect(ids(accepted)).toEqual(Object.keys(ACCEPTED).toSorted());
  });

  test("of those that have to be accepted only the explained one is rejected", () => {
    const rejected = outcomes.filter(
      (each) => /^2xx( \+ close)?$/.test(each.expected) && !hasSucceeded(each),
    );
    expect(ids(rejected)).toEqual(Object.keys(REFUSED).toSorted());
  });

  test("the only 5xx are 501 and 505, each for what we do not do", () => {
    const failures = outcomes.filter(({ statuses }) => statuses.some((status) => status >= 500));
    const byStatus = Object.groupBy(failures, (each) => finalStatus(each) ?? 0);
    expect(
      Object.fromEntries(Object.entries(byStatus).map(([code, some]) => [code, ids(some ?? [])])),
    ).toEqual(NOT_DONE);
  });

  test("none makes the backend see more than one request, nor one that it would refuse", () => {
    expect(outcomes.filter(({ begun }) => begun > 1).map(({ id }) => id)).toEqual([]);
    expect(lanes.flatMap(({ backend }) => backend.refused)).toEqual([]);
  });

  test("none upgrades the connection", () => {
    expect(ids(outcomes.filter(({ statuses }) => statuses.includes(101)))).toEqual([]);
  });

  test("the client after each gets its own answer", () => {
    const wrong = outcomes.filter(({ canary, canaryExpected }) => canary !== canaryExpected);
    expect(wrong.map(({ id, canary }) => ({ id, canary }))).toEqual([]);
  });

  test("a target that is no UTF-8, which the corpus does not hold, is rejected", async () => {
    const [{ proxy, backend }] = lanes as [Lane];
    const before = backend.requests.length;
    const answer = await exchangeRaw(
      proxy.port,
      "GET /caf\xe9 HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n\r\n",
    );
    expect(statusesIn(answer)).toEqual([400]);
    expect(backend.requests).toHaveLength(before);
  });
});
