/**
 * The timers of Bun.serve, shown on Bun alone. They run in steps of 4 s, so that all cases begin together, and each
 * test waits for its own.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connectRaw, type RawConnection } from "../_support/raw-client.ts";

/** The least that is not cut at the next step. */
const IDLE_SECONDS = 5;
const TIMEOUT_MS = 30_000;

const get = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`;

/** Called once all connections that Bun should end have ended. */
const release = Promise.withResolvers<void>();
const aborted = new Set<string>();
const cancelled = new Set<string>();

/** What the handler does about time, by path. */
async function answer(request: Request, server: Bun.Server<undefined>): Promise<Response> {
  const { pathname } = new URL(request.url);
  request.signal.addEventListener("abort", () => aborted.add(pathname));
  switch (pathname) {
    case "/silent":
      await release.promise;
      return new Response("late");
    case "/silent-upload":
      await request.text();
      await release.promise;
      return new Response("late");
    case "/patient":
      server.timeout(request, 0);
      await release.promise;
      return new Response("late");
    case "/kept":
      server.timeout(request, 0);
      return new Response("ok");
    case "/set-back":
      server.timeout(request, 0);
      await new Promise((resolve) => setImmediate(resolve));
      server.timeout(request, IDLE_SECONDS);
      return new Response("ok");
    case "/stopped":
    case "/ended":
      server.timeout(request, 0);
      return new Response(endless(pathname, () => server.timeout(request, 1)));
    default:
      return new Response("ok");
  }
}

/** More than any buffer takes; `onFull` is called when nobody takes any more, for `/ended` only. */
function endless(path: string, onFull: () => void): ReadableStream {
  const piece = new Uint8Array(256 * 1024);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const source = {
    pull(controller: ReadableStreamDefaultController) {
      clearTimeout(timer);
      if (path === "/ended") timer = setTimeout(onFull, 500);
      controller.enqueue(piece);
    },
    cancel() {
      cancelled.add(path);
    },
  };
  return new ReadableStream(source, { highWaterMark: 0 });
}

let server: Bun.Server<undefined>;
const clients = new Map<string, RawConnection>();
let dripping: ReturnType<typeof setInterval>;

async function open(name: string, bytes: string, keep = true): Promise<RawConnection> {
  const client = await connectRaw(server.port as number, { keep });
  clients.set(name, client);
  if (bytes !== "") client.send(bytes);
  return client;
}

function client(name: string): RawConnection {
  return clients.get(name) as RawConnection;
}

beforeAll(async () => {
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    idleTimeout: IDLE_SECONDS,
    fetch: answer,
  });
  await open("nothing", "");
  await open("half a head", get("/").slice(0, -2));
  await open("dripping head", get("/").slice(0, -2) + "X-Drip: ");
  await open("idle", get("/"));
  await open("half a next head", `${get("/")}GET /`);
  await open("dripping next head", `${get("/")}GET /`);
  for (const path of ["silent", "patient", "kept", "set-back"]) await open(path, get(`/${path}`));
  await open(
    "silent-upload",
    get("/silent-upload").replace("GET", "POST").slice(0, -2) + "Content-Length: 2\r\n\r\nhi",
  );
  for (const path of ["stopped", "ended"]) {
    (await open(path, get(`/${path}`), false)).pause();
  }
  dripping = setInterval(() => {
    for (const name of ["dripping head", "dripping next head"]) client(name).send("x");
  }, 250);
});

afterAll(async () => {
  clearInterval(dripping);
  for (const each of clients.values()) each.reset();
  await server.stop(true);
});

describe("a connection to Bun.serve is ended by a FIN, whatever drips in", () => {
  test.each(["nothing", "half a head", "dripping head"])(
    "with %s before its first request: the limit for heads, which has no setting",
    async (name) => {
      expect(await client(name).closed).toBe("fin");
      expect(client(name).received()).toBe("");
    },
    TIMEOUT_MS,
  );

  test.each(["idle", "half a next head", "dripping next head", "set-back"])(
    "after an answer (%s): our keep-alive limit",
    async (name) => {
      expect(await client(name).closed).toBe("fin");
      expect(client(name).received()).toMatch(/^HTTP\/1\.1 200 [^]*\r\n\r\nok$/);
    },
    TIMEOUT_MS,
  );
});

describe("Bun's idle timer, while an answer is due,", () => {
  test(
    "cuts a connection whose handler takes long: we switch it off for every request",
    async () => {
      expect(await client("silent").closed).toBeOneOf(["fin", "reset"]);
      expect(client("silent").received()).toBe("");
      expect(aborted).toContain("/silent");
    },
    TIMEOUT_MS,
  );

  test(
    "cuts a stopped reader when set to 1 later on: how we end one",
    async () => {
      while (!cancelled.has("/ended")) await Bun.sleep(20);
      client("ended").resume();
      expect(await client("ended").closed).toBeOneOf(["fin", "reset"]);
    },
    TIMEOUT_MS,
  );

  test(
    "forgets an upload that has come to its end; switched off, it cuts nothing: not a silent handler, not a stopped reader, not an idle connection",
    async () => {
      // By now more time has passed than those took that were cut.
      await Promise.all(["idle", "silent", "set-back"].map((name) => client(name).closed));
      release.resolve();
      for (const name of ["silent-upload", "patient"]) {
        const received = await client(name).until((text) => text.endsWith("late"));
        expect(received).toStartWith("HTTP/1.1 200 ");
      }
      client("kept").send(get("/"));
      await client("kept").until((text) => text.split("HTTP/1.1 200 ").length === 3);
      expect(cancelled).not.toContain("/stopped");
      expect(aborted).not.toContain("/stopped");
    },
    TIMEOUT_MS,
  );
});
