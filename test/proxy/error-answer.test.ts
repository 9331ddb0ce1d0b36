import { describe, expect, test } from "bun:test";
import { ProxyError } from "../../src/errors.ts";
import { errorAnswer } from "../../src/proxy/error-answer.ts";
import type { FrontAnswer } from "../../src/proxy/front.ts";
import { frontRequest } from "../_support/front-request.ts";

function text(answer: FrontAnswer): string {
  return new TextDecoder().decode(answer.body as Uint8Array);
}

describe("an answer of our own", () => {
  test("is JSON with code, message and request id", () => {
    const error = new ProxyError("connect_refused", "no backend could be reached", {
      source: "backend",
    });
    const answer = errorAnswer(error, frontRequest(), "r-1");
    expect(answer.status).toBe(502);
    expect(JSON.parse(text(answer))).toEqual({
      error: { code: "connect_refused", message: "no backend could be reached", requestId: "r-1" },
    });
    expect(answer.headers).toContainEqual(["proxy-status", "leastwise; error=connection_refused"]);
  });

  test("with 405 names the methods that are passed on (RFC 9110, 15.5.6)", () => {
    const error = new ProxyError("method_not_allowed", "not forwarded", { source: "client" });
    const answer = errorAnswer(error, frontRequest(), "r-1");
    expect(answer.status).toBe(405);
    expect(answer.headers.find(([name]) => name === "allow")?.[1]).toContain("GET");
  });

  test("is plain text for a browser", () => {
    const error = new ProxyError("no_route", "no route matches", { source: "proxy" });
    const request = frontRequest({ headers: { accept: "text/html,*/*" } });
    const answer = errorAnswer(error, request, "r-2");
    expect(answer.headers).toContainEqual(["content-type", "text/plain; charset=utf-8"]);
    expect(text(answer)).toBe("404 no_route: no route matches\nrequest r-2\n");
  });

  test("says when to come back if nobody is there", () => {
    const error = new ProxyError("no_backend_available", "all down", { source: "proxy" });
    const answer = errorAnswer(error, frontRequest(), "r-3");
    expect(answer.status).toBe(503);
    expect(answer.headers.find(([name]) => name === "retry-after")?.[1]).toMatch(/^\d+$/);
  });

  test("names a loop as what it is", () => {
    const error = new ProxyError("loop_detected", "it came back", { source: "proxy" });
    const answer = errorAnswer(error, frontRequest(), "r-6");
    expect(answer.status).toBe(508);
    expect(answer.headers).toContainEqual(["proxy-status", "leastwise; error=proxy_loop_detected"]);
  });

  test("never shows its cause", () => {
    const error = new ProxyError("internal_error", "the proxy failed", {
      source: "proxy",
      cause: new Error("secret 10.0.0.7"),
    });
    expect(text(errorAnswer(error, frontRequest(), "r-4"))).not.toContain("secret");
  });

  test("closes the connection of a request that was refused", () => {
    const error = new ProxyError("bad_request", "no", { source: "client" });
    const answer = errorAnswer(error, frontRequest(), "r-5");
    expect(answer.headers).toContainEqual(["connection", "close"]);
  });
});
