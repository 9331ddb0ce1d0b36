import { describe, expect, test } from "bun:test";
import type { HeaderRules } from "../../src/config/config.ts";
import type { Forwarding } from "../../src/proxy/forwarding.ts";
import { requestHead, type RequestHeadOptions, responseHeaders } from "../../src/proxy/headers.ts";
import { NO_HEADER_RULES } from "../_support/header-rules.ts";
import { frontRequest } from "../_support/front-request.ts";

const options: RequestHeadOptions = {
  host: "shop.example",
  clientHost: "shop.example",
  forwarding: {
    target: "/",
    peerAddress: "192.0.2.7",
    trusted: false,
    requestId: null,
    pseudonym: "leastwise-a1",
  },
  rules: NO_HEADER_RULES,
  framing: null,
  set: [],
  remove: [],
};

function headFor(headers: Record<string, string>, changed: Partial<RequestHeadOptions> = {}) {
  const request = frontRequest({ headers: { host: "shop.example", ...headers } });
  const [line = "", ...fields] = requestHead(request, { ...options, ...changed }).split("\r\n");
  return { line, fields: fields.filter((field) => field !== "") };
}

describe("the request head for a backend", () => {
  test("begins with the method and target as sent, and ends with an empty line", () => {
    const head = requestHead(frontRequest({ method: "PURGE" }), {
      ...options,
      forwarding: { ...options.forwarding, target: "/a?b=%zz" },
    });
    expect(head).toStartWith("PURGE /a?b=%zz HTTP/1.1\r\nhost: shop.example\r\n");
    expect(head).toEndWith("\r\n\r\n");
    expect(head.slice(0, -4)).not.toContain("\r\n\r\n");
  });

  test("invents nothing but forwarding fields and Via", () => {
    expect(headFor({}).fields).toEqual([
      "host: shop.example",
      "x-forwarded-for: 192.0.2.7",
      "x-forwarded-proto: http",
      "x-forwarded-host: shop.example",
      "x-forwarded-port: 8080",
      "via: 1.1 leastwise-a1",
    ]);
  });

  test("leaves out what concerns the client's connection, and what Connection names", () => {
    const { fields } = headFor({
      connection: "close, X-Secret ,, Via",
      "x-secret": "1",
      "keep-alive": "timeout=5",
      "proxy-connection": "keep-alive",
      "proxy-authorization": "Basic eDp5",
      te: "gzip",
      trailer: "X-T",
      upgrade: "h2c",
      expect: "100-continue",
      "x-kept": "yes",
    });
    expect(fields).toContain("x-kept: yes");
    const names = fields.map((field) => field.split(":")[0]);
    for (const name of [
      "connection",
      "x-secret",
      "keep-alive",
      "proxy-connection",
      "proxy-authorization",
      "te",
      "trailer",
      "upgrade",
      "expect",
    ]) {
      expect(names).not.toContain(name);
    }
  });

  test("keeps its own forwarding fields, and whom the request passed, when Connection names them", () => {
    const { fields } = headFor({ connection: "x-forwarded-for, host, via", via: "1.1 outer" });
    expect(fields).toContain("x-forwarded-for: 192.0.2.7");
    expect(fields).toContain("host: shop.example");
    expect(fields).toContain("via: 1.1 outer, 1.1 leastwise-a1");
  });

  test("replaces forwarding fields that a client made up", () => {
    const { fields } = headFor({
      "x-forwarded-for": "1.2.3.4",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "evil.example",
      "x-forwarded-port": "1",
      "x-real-ip": "1.2.3.4",
      forwarded: "for=1.2.3.4",
    });
    const text = fields.join("\n");
    expect(text).not.toContain("1.2.3.4");
    expect(text).not.toContain("evil");
    expect(text).not.toContain("https");
    expect(fields.filter((field) => field.startsWith("x-forwarded-for"))).toHaveLength(1);
  });

  test("drops what a client says of itself in any X-Forwarded field", () => {
    const { fields } = headFor({ "x-forwarded-user": "root", "x-forwarded-prefix": "/a" });
    expect(fields.join("\n")).not.toMatch(/root|prefix/);
  });

  test("is refused with a control character in a value", () => {
    const request = frontRequest({ headers: { "x-odd": "a\x7fb" } });
    expect(() => requestHead(request, options)).toThrow("control character");
  });

  test("adds itself to the end of Via", () => {
    expect(headFor({ via: "1.0 outer" }).fields).toContain("via: 1.0 outer, 1.1 leastwise-a1");
    expect(headFor({ via: "" }).fields).toContain("via: 1.1 leastwise-a1");
  });

  test("frames the body in exactly one way", () => {
    const sent = { "content-length": "5", "transfer-encoding": "chunked" };
    expect(headFor(sent, { framing: 5 }).fields.filter(isFraming)).toEqual(["content-length: 5"]);
    expect(headFor(sent, { framing: "chunked" }).fields.filter(isFraming)).toEqual([
      "transfer-encoding: chunked",
    ]);
    expect(headFor(sent, { framing: 0 }).fields.filter(isFraming)).toEqual(["content-length: 0"]);
    expect(headFor(sent).fields.filter(isFraming)).toEqual([]);
  });

  test("lets an observer's fields take the place of the client's, and removes what it names", () => {
    const { fields } = headFor(
      { traceparent: "00-old", baggage: "a=b" },
      { set: [["traceparent", "00-new"]], remove: ["baggage"] },
    );
    expect(fields.filter((field) => /traceparent|baggage/.test(field))).toEqual([
      "traceparent: 00-new",
    ]);
  });
});

function forwarded(change: Partial<Forwarding>): Partial<RequestHeadOptions> {
  return { forwarding: { ...options.forwarding, ...change } };
}

describe("the fields of a peer that is not believed", () => {
  test("are dropped under the names that backends take for the same", () => {
    const { fields } = headFor({
      x_forwarded_for: "1.2.3.4",
      x_real_ip: "1.2.3.4",
      "true-client-ip": "1.2.3.4",
      forwarded: "for=1.2.3.4",
    });
    expect(fields.join("\n")).not.toMatch(/1\.2\.3\.4/);
  });

  test("do not decide the request id", () => {
    const sent = { "x-request-id": "theirs", x_request_id: "theirs" };
    const { fields } = headFor(sent, forwarded({ requestId: "ours-1" }));
    expect(fields.filter((field) => /request.id/.test(field))).toEqual(["x-request-id: ours-1"]);
    expect(headFor({ "x-request-id": "theirs" }).fields).toContain("x-request-id: theirs");
  });
});

describe("the fields of a trusted peer", () => {
  const trusted = forwarded({ trusted: true });

  test("are extended where they name the hops, and kept where they tell of the client", () => {
    const sent = {
      "x-forwarded-for": "1.2.3.4, 10.0.0.1",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "outer.example",
      "x-forwarded-port": "8443",
      "x-real-ip": "1.2.3.4",
    };
    const { fields } = headFor(sent, trusted);
    expect(fields).toContain("x-forwarded-for: 1.2.3.4, 10.0.0.1, 192.0.2.7");
    for (const [name, value] of Object.entries(sent).slice(1)) {
      expect(fields.filter((field) => field.startsWith(`${name}:`))).toEqual([`${name}: ${value}`]);
    }
  });

  test("are dropped under names that only look the same to a backend", () => {
    const { fields } = headFor({ x_real_ip: "1.2.3.4", x_forwarded_user: "root" }, trusted);
    expect(fields.join("\n")).not.toMatch(/1\.2\.3\.4|root/);
  });

  test("are ours when it sent none, or empty ones", () => {
    for (const sent of [
      {},
      { "x-forwarded-for": "", "x-forwarded-proto": "", "x-forwarded-port": "" },
    ]) {
      const { fields } = headFor(sent, trusted);
      expect(fields).toContain("x-forwarded-for: 192.0.2.7");
      expect(fields).toContain("x-forwarded-proto: http");
      expect(fields).toContain("x-forwarded-host: shop.example");
      expect(fields).toContain("x-forwarded-port: 8080");
    }
  });

  test("stay although the client's Connection names them", () => {
    const sent = {
      "x-forwarded-for": "1.2.3.4",
      "x-forwarded-user": "alice",
      "x-real-ip": "1.2.3.4",
      forwarded: "for=1.2.3.4",
    };
    const connection = Object.keys(sent).join(", ");
    expect(headFor({ ...sent, connection }, trusted)).toEqual(headFor(sent, trusted));
  });

  test.each(["x-forwarded-proto", "x-forwarded-host"])(
    "tell of another hop with %s, whose port is not ours",
    (name) => {
      const { fields } = headFor({ [name]: "outer" }, trusted);
      expect(fields.filter((field) => field.startsWith("x-forwarded-port:"))).toEqual([]);
    },
  );

  test.each([
    ["192.0.2.7", "shop.example", "for=192.0.2.7;host=shop.example;proto=http"],
    ["2001:db8::7", "[::1]:80", 'for="[2001:db8::7]";host="[::1]:80";proto=http'],
    ["", "", "for=unknown;proto=http"],
  ])("from %j with the host %j: Forwarded gets %s", (peerAddress, clientHost, element) => {
    const options = { ...forwarded({ trusted: true, peerAddress }), clientHost };
    const { fields } = headFor({ forwarded: 'for="_a";proto=https' }, options);
    expect(fields).toContain(`forwarded: for="_a";proto=https, ${element}`);
    expect(headFor({}, options).fields.join("\n")).not.toMatch(/^forwarded:/m);
  });

  test("leave X-Forwarded-For as it is on a unix socket, which has no address", () => {
    const local = forwarded({ trusted: true, peerAddress: "" });
    expect(headFor({ "x-forwarded-for": "1.2.3.4" }, local).fields).toContain(
      "x-forwarded-for: 1.2.3.4",
    );
    expect(headFor({}, local).fields.join("\n")).not.toContain("x-forwarded-for");
  });

  test("have no port on a unix socket unless it says one", () => {
    const request = frontRequest({ port: null });
    expect(requestHead(request, { ...options, ...trusted })).not.toContain("x-forwarded-port");
  });

  test("are refused with a control character, too", () => {
    const request = {
      ...frontRequest(),
      headers: { get: () => "a\x7fb", has: () => true, forEach: () => {} },
    };
    expect(() => requestHead(request, { ...options, ...trusted })).toThrow("control character");
  });
});

describe("header rules for requests", () => {
  const rules: HeaderRules = {
    set: [
      ["x-set", "ours"],
      ["x-forwarded-proto", "https"],
      ["traceparent", "rule"],
    ],
    add: [["x-add", "ours"]],
    remove: ["x-removed", "via"],
  };

  test("replace, add and remove, our own fields included, but none of an observer's", () => {
    const sent = { "x-set": "theirs", "x-add": "theirs", "x-removed": "1", via: "1.1 outer" };
    const { fields } = headFor(sent, { rules, set: [["traceparent", "00"]] });
    expect(fields.filter((field) => !/^(host|x-forwarded-(for|host|port)):/.test(field))).toEqual([
      "x-add: theirs",
      "x-set: ours",
      "x-forwarded-proto: https",
      "x-add: ours",
      "traceparent: 00",
    ]);
  });
});

describe("the response fields for a client", () => {
  test("follow the rules: replaced whatever their case, added, removed", () => {
    const fields = [
      ["X-Set", "1"],
      ["x-set", "2"],
      ["Server", "old"],
      ["X-Add", "1"],
    ] as const;
    const rules: HeaderRules = {
      set: [["x-set", "3"]],
      add: [["x-add", "2"]],
      remove: ["server"],
    };
    expect(responseHeaders(fields, rules)).toEqual([
      ["X-Add", "1"],
      ["x-set", "3"],
      ["x-add", "2"],
    ]);
  });

  test("keep order, case and repeats", () => {
    const fields = [
      ["Set-Cookie", "a=1"],
      ["X-Many", "1"],
      ["set-cookie", "b=2"],
      ["X-Many", "2"],
    ] as const;
    expect(responseHeaders(fields, NO_HEADER_RULES)).toEqual([...fields]);
  });

  test("leave out what concerns the backend's connection", () => {
    const fields = [
      ["Connection", "X-Hop, close"],
      ["X-Hop", "1"],
      ["Keep-Alive", "timeout=5"],
      ["Proxy-Authenticate", "Basic"],
      ["Proxy-Authentication-Info", "a=1"],
      ["Transfer-Encoding", "chunked"],
      ["Upgrade", "h2c"],
      ["Trailer", "X-T"],
      ["X-Kept", "yes"],
    ] as const;
    expect(responseHeaders(fields, NO_HEADER_RULES)).toEqual([["X-Kept", "yes"]]);
  });

  test("keep Content-Length", () => {
    const fields = [["Content-Length", "5"]] as const;
    expect(responseHeaders(fields, NO_HEADER_RULES)).toEqual([["Content-Length", "5"]]);
  });
});

function isFraming(field: string): boolean {
  return /^(content-length|transfer-encoding):/.test(field);
}
