import type { FrontRequest } from "../../src/proxy/front.ts";
import { RequestFields } from "../../src/proxy/request-fields.ts";

/** A client's request as a front would hand it on. */
export function frontRequest(
  given: Partial<Omit<FrontRequest, "headers">> & { headers?: Record<string, string> } = {},
): FrontRequest {
  const { headers, ...rest } = given;
  return {
    method: "GET",
    scheme: "http",
    version: "1.1",
    target: "/",
    authority: null,
    port: 8080,
    peerAddress: "192.0.2.7",
    refused: false,
    body: null,
    onGone: () => {},
    ...rest,
    headers: new RequestFields(Object.entries(headers ?? { host: "shop.example" }).flat()),
  };
}
