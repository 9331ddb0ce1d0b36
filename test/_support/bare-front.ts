import { afterEach } from "bun:test";
import { exchangeRaw } from "./raw-client.ts";

export interface BareFronts {
  /** Bun's own server alone, stopped after the test. */
  start(options: BareFrontOptions): Bun.Server<undefined>;
  /** Something else to be stopped after the test. */
  add(running: { stop(): unknown }): void;
  /** A front that answers by this function; its port. */
  serve(answer: (request: Request) => Response | Promise<Response>): number;
  /** Sends these bytes to such a front; resolves with all that came back until the connection's end. */
  answerTo(request: string, answer: () => Response): Promise<string>;
}

export interface BareFrontOptions {
  readonly idleTimeout?: number;
  fetch(request: Request, server: Bun.Server<undefined>): Response | Promise<Response>;
}

/** For a file of tests of what Bun does by itself. */
export function useBareFronts(): BareFronts {
  const running: { stop(): unknown }[] = [];

  afterEach(async () => {
    await Promise.all(running.splice(0).map((each) => each.stop()));
  });

  const start: BareFronts["start"] = (options) => {
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, development: false, ...options });
    running.push({ stop: () => server.stop(true) });
    return server;
  };
  const serve: BareFronts["serve"] = (fetch) => start({ fetch }).port as number;
  return {
    start,
    serve,
    add: (each) => void running.push(each),
    answerTo: (request, answer) => exchangeRaw(serve(answer), request),
  };
}

/** A GET for `/` over a connection that ends with its answer. */
export function bareGet(...fields: string[]): string {
  return ["GET / HTTP/1.1", "Host: a.example", "Connection: close", ...fields, "", ""].join("\r\n");
}
