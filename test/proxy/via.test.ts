import { describe, expect, test } from "bun:test";
import { RequestFields } from "../../src/proxy/request-fields.ts";
import { pseudonymOf, refuseLoop } from "../../src/proxy/via.ts";

const own = pseudonymOf("a1b2c3d4");

function check(via: string | null): void {
  refuseLoop({ headers: new RequestFields(via === null ? [] : ["via", via]) }, own);
}

describe("a request has been here three times", () => {
  test.each([
    `1.1 ${own}, 1.1 ${own}, 1.1 ${own}`,
    `HTTP/1.1 ${own}, 1.0 ${own}, 2 ${own}`,
    `1.0 outer, 1.1 ${own}, 2 inner, 1.1 ${own}, 2 inner, 1.1 ${own}`,
    `1.1 outer,1.1\t ${own}  (a comment),1.1 ${own},1.1 ${own}`,
  ])("with the Via field %j", (via) => {
    expect(() => check(via)).toThrow(
      expect.objectContaining({ code: "loop_detected", source: "proxy" }),
    );
  });
});

describe("a request has not been here, or may have come by another route", () => {
  test.each([
    null,
    `1.1 ${own}`,
    `1.1 ${own}, 1.1 app, 1.1 ${own}`,
    "",
    "1.1 leastwise",
    `1.1 ${pseudonymOf("a1b2c3d5")}`,
    `1.1 ${own}0`,
    `1.1 outer (${own})`,
    own,
    `1.1 outer, ${own}`,
    ",,, ,",
  ])("with the Via field %j", (via) => {
    expect(() => check(via)).not.toThrow();
  });
});
