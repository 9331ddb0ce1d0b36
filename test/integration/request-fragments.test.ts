/**
 * How a request is cut into packets changes nothing: every cut of it has the outcome that it has whole.
 * One cut does not: what comes in a packet of its own after the last chunk comes after the answer, too
 * (chunked-bodies.test.ts).
 * Requests sent before the answer to the one before are the exception that the runtime makes.
 */
import { describe, expect, test } from "bun:test";
import { statusesIn, useRecordedFront, within } from "../_support/recorded-front.ts";

const front = useRecordedFront();

const HOST = "Host: shop.example\r\n";
const FOLLOWING = `GET /following HTTP/1.1\r\n${HOST}\r\n`;

/** Each with a target of its own, `{}`, by which the backend's requests are told apart. */
const ACCEPTED: Readonly<Record<string, string>> = {
  "a GET": `GET {}?a=1&b=%20 HTTP/1.1\r\n${HOST}X-A: caf\xe9\r\nX-B:\r\nAccept: */*\r\n\r\n`,
  "a POST with a length": `POST {} HTTP/1.1\r\n${HOST}Content-Length: 12\r\n\r\nhello\r\n\r\nyou`,
  "a POST in chunks": `POST {} HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n00006\r\nworld!\r\n0\r\n\r\n`,
  "a DELETE in an absolute form": `DELETE http://shop.example{} HTTP/1.1\r\n${HOST}Connection: x-a\r\nX-A: 1\r\n\r\n`,
  "a GET with a body": `GET {} HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`,
};

const REFUSED: Readonly<Record<string, string>> = {
  "two framings": `POST {} HTTP/1.1\r\n${HOST}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG`,
  "two lengths": `POST {} HTTP/1.1\r\n${HOST}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`,
  "two hosts": `GET {} HTTP/1.1\r\n${HOST}Host: b.example\r\n\r\n`,
  "no host": "GET {} HTTP/1.1\r\nX-A: 1\r\n\r\n",
  "a folded field": `GET {} HTTP/1.1\r\n${HOST}X-A: a\r\n b\r\n\r\n`,
  "a bare line feed": `GET {} HTTP/1.1\r\n${HOST}X-A: a\nX-B: b\r\n\r\n`,
  "a NUL": `GET {} HTTP/1.1\r\n${HOST}X-A: a\0b\r\n\r\n`,
  "a chunk that is too long": `POST {} HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n`,
  "a chunk size that is none": `POST {} HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0x0\r\n\r\n`,
  "another version": `GET {} HTTP/1.2\r\n${HOST}\r\n`,
};

interface Story {
  readonly statuses: readonly number[];
  readonly ended: boolean;
  /** Head and body of every request that reached the backend whole. */
  readonly backend: readonly string[];
}

let stories = 0;

/**
 * One connection for each list of places to cut at. All send their first piece, then all their second and
 * so on; another client's answer in between shows that the proxy has read what was sent until then.
 * What is answered is followed by another request, which has to be found where the first one ends.
 */
async function tell(request: string, cuts: readonly (readonly number[])[]): Promise<Story[]> {
  const seen = front.backend.requests.length;
  const clients = await Promise.all(
    cuts.map(async (places) => {
      const target = `/story/${String(++stories).padStart(6, "0")}`;
      const bytes = request.replace("{}", target);
      const pieces = [0, ...places].map((from, at) => bytes.slice(from, places[at]));
      return { connection: await front.connect(), target, pieces };
    }),
  );
  const rounds = Math.max(...clients.map(({ pieces }) => pieces.length));
  for (let round = 0; round < rounds; round++) {
    if (round > 0) await front.canary();
    for (const { connection, pieces } of clients) {
      if (round < pieces.length) connection.send(pieces[round] ?? "");
    }
  }
  return Promise.all(
    clients.map(async ({ connection, target, pieces }) => {
      const matter = (): string =>
        `${JSON.stringify(pieces)} got ${JSON.stringify(connection.received())}`;
      let ended = false;
      const closed = connection.closed.then(() => {
        ended = true;
      });
      const until = (text: string): Promise<unknown> =>
        within(
          Promise.race([connection.until((all) => all.includes(text)).catch(() => {}), closed]),
          matter,
        );
      await until(` ${target}`);
      if (!ended) {
        connection.send(FOLLOWING);
        await until("GET /following");
      }
      connection.reset();
      const own = front.backend.requests
        .slice(seen)
        .filter((each) => each.complete && each.target.startsWith(target));
      return {
        statuses: statusesIn(connection.received()),
        ended,
        backend: own.map(({ rawHead, text }) =>
          `${rawHead.toString("latin1")}${text}`
            .replaceAll(target, "{}")
            .replace(/x-request-id: .*\r\n/, ""),
        ),
      };
    }),
  );
}

async function tellWhole(request: string): Promise<Story> {
  const [story] = await tell(request, [[]]);
  return story as Story;
}

function everyPlace(request: string): number[] {
  const { length } = request.replace("{}", "/story/000000");
  return Array.from({ length: length - 1 }, (_, index) => index + 1);
}

describe("a request that is cut in two, at each of its bytes,", () => {
  test.each(Object.entries(ACCEPTED))(
    "is the same to the backend and to its client (%s) [A34]",
    async (_what, request) => {
      const whole = await tellWhole(request);
      expect(whole).toMatchObject({ statuses: [200, 200], ended: false });
      expect(whole.backend).toHaveLength(1);
      const places = everyPlace(request);
      const cut = await tell(
        request,
        places.map((place) => [place]),
      );
      expect(places.filter((_, at) => !Bun.deepEquals(cut[at], whole))).toEqual([]);
    },
  );

  test.each(Object.entries(REFUSED))(
    "is refused in the same way (%s) [A34]",
    async (_what, request) => {
      const whole = await tellWhole(request);
      expect(whole).toMatchObject({ ended: true, backend: [] });
      expect(whole.statuses).toHaveLength(1);
      expect([400, 505]).toContain(whole.statuses[0] as number);
      const places = everyPlace(request);
      const cut = await tell(
        request,
        places.map((place) => [place]),
      );
      expect(places.filter((_, at) => !Bun.deepEquals(cut[at], whole))).toEqual([]);
    },
  );
});

describe("a request that comes byte by byte", () => {
  test.each(Object.entries(ACCEPTED))("is the same (%s) [A34]", async (_what, request) => {
    const whole = await tellWhole(request);
    expect(await tell(request, [everyPlace(request)])).toEqual([whole]);
  });
});

describe("requests on one connection", () => {
  test("that wait for each other's answers are answered in order, bodies among them", async () => {
    const bytes = Array.from({ length: 20 }, (_, index) =>
      index % 3 === 1
        ? `POST /n/${index} HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`
        : `GET /n/${index} HTTP/1.1\r\n${HOST}\r\n`,
    );
    const client = await front.connect();
    for (const [index, each] of bytes.entries()) {
      client.send(each);
      await within(
        client.until((text) => text.endsWith(` /n/${index}`)),
        () => client.received(),
      );
    }
    const answered = [...client.received().matchAll(/ \/n\/(\d+)/g)].map(([, index]) => index);
    expect(answered).toEqual(bytes.map((_, index) => String(index)));
    client.reset();
  });

  test.each([
    [
      "20 GETs",
      Array.from({ length: 20 }, (_, index) => `GET /n/${index} HTTP/1.1\r\n${HOST}\r\n`),
    ],
    [
      "POSTs among GETs",
      [
        `POST /n/0 HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`,
        `GET /n/1 HTTP/1.1\r\n${HOST}\r\n`,
        `POST /n/2 HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
        `GET /n/3 HTTP/1.1\r\n${HOST}\r\n`,
      ],
    ],
  ])(
    "that do not wait are answered in order, one at a time, in one piece or many (%s) [A33]",
    async (_what, bytes) => {
      const targets = bytes.map((_, index) => `/n/${index}`);
      const whole = bytes.join("");
      for (const pieces of [[whole], bytes, [...whole]]) {
        const { received, requests } = await front.play(async () => {
          const client = await front.connect();
          for (const piece of pieces) client.send(piece);
          await within(
            client.until((text) => text.endsWith(` ${targets.at(-1)}`)),
            () => client.received(),
          );
          client.reset();
          return client.received();
        });
        expect([...received.matchAll(/ (\/n\/\d+)/g)].map(([, target]) => target)).toEqual(targets);
        expect(requests.map(({ target }) => target)).toEqual(targets);
      }
    },
  );

  test("beyond 64 that wait: so many are answered, and the connection ends with a word of it", async () => {
    const bytes = Array.from({ length: 200 }, (_, at) => `GET /n/${at} HTTP/1.1\r\n${HOST}\r\n`);
    const { received, requests } = await front.ended(bytes.join(""));
    const answered = [...received.matchAll(/ (\/n\/\d+)/g)].map(([, target]) => target);
    expect(answered).toEqual(requests.map(({ target }) => target));
    expect(answered).toEqual(Array.from({ length: 65 }, (_, at) => `/n/${at}`));
    expect(received.match(/connection: close/gi)).toHaveLength(1);
    expect(received.slice(received.lastIndexOf("HTTP/1.1"))).toMatch(/connection: close/i);
  });

  test("beyond 64 that wait: the last of them gets its body, also when that comes later", async () => {
    const gets = Array.from({ length: 64 }, (_, at) => `GET /n/${at} HTTP/1.1\r\n${HOST}\r\n`);
    const post = `POST /n/64 HTTP/1.1\r\n${HOST}Content-Length: 10\r\n\r\n`;
    const client = await front.connect();
    client.send(gets.join("") + post);
    await within(
      client.until((text) => text.includes(" /n/63")),
      () => client.received(),
    );
    client.send("0123456789");
    await within(
      client.until((text) => text.includes(" /n/64")),
      () => client.received(),
    );
    client.reset();
  });
});
