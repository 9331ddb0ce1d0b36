import { describe, expect, test } from "bun:test";
import type { Config, RouteConfig } from "../../src/config/config.ts";
import { createRouter, withoutPrefix } from "../../src/proxy/router.ts";

function router(...given: (Omit<RouteConfig, "stripPrefix"> & Partial<RouteConfig>)[]) {
  const routes = given.map((route): RouteConfig => ({ stripPrefix: false, ...route }));
  const pools = [{ name: "a" }, { name: "b" }] as unknown as Config["pools"];
  return createRouter({ routes, pools });
}

describe("routing", () => {
  test("without routes the only pool gets everything", () => {
    const route = createRouter({
      routes: [],
      pools: [{ name: "web" }] as unknown as Config["pools"],
    });
    expect(route("any.example", "/x")).toEqual({ pool: "web", route: null, prefix: "" });
  });

  test("the first match in file order wins", () => {
    const route = router(
      { host: null, path: "/v1/*", pool: "a" },
      { host: null, path: null, pool: "b" },
    );
    expect(route("x", "/v1/users")?.pool).toBe("a");
    expect(route("x", "/v2/users")?.pool).toBe("b");
  });

  test("a prefix matches its own name and nothing that merely begins like it", () => {
    const route = router({ host: null, path: "/v1/*", pool: "a" });
    expect(route("x", "/v1")?.pool).toBe("a");
    expect(route("x", "/v1/")?.pool).toBe("a");
    expect(route("x", "/v10")).toBeNull();
  });

  test("a path without a wildcard is exact", () => {
    const route = router({ host: null, path: "/health", pool: "a" });
    expect(route("x", "/health")?.pool).toBe("a");
    expect(route("x", "/health/")).toBeNull();
  });

  test("hosts are compared without port, case and final dot", () => {
    const route = router({ host: "api.example.com", path: null, pool: "a" });
    expect(route("API.Example.com:8080", "/")?.pool).toBe("a");
    expect(route("api.example.com.", "/")?.pool).toBe("a");
    expect(route("example.com", "/")).toBeNull();
  });

  test("a wildcard stands for exactly one label", () => {
    const route = router({ host: "*.example.com", path: null, pool: "a" });
    expect(route("api.example.com", "/")?.pool).toBe("a");
    expect(route("example.com", "/")).toBeNull();
    expect(route("a.b.example.com", "/")).toBeNull();
    expect(route(".example.com", "/")).toBeNull();
  });

  test("an IPv6 host with and without a port", () => {
    const route = router({ host: "[::1]", path: null, pool: "a" });
    expect(route("[::1]:8080", "/")?.pool).toBe("a");
    expect(route("[::1]", "/")?.pool).toBe("a");
  });

  test("names its pattern, host and path", () => {
    const route = router({ host: "api.example.com", path: "/v1/*", pool: "a" });
    expect(route("api.example.com", "/v1/x")?.route).toBe("api.example.com/v1/*");
  });
});

describe("stripping a route's prefix", () => {
  test.each([
    ["/v1/*", "/v1/users?a=/v1", "/users?a=/v1"],
    ["/v1/*", "/v1/", "/"],
    ["/v1/*", "/v1", "/"],
    ["/v1/*", "/v1?a=1", "/?a=1"],
    ["/a/b/*", "/a/b/a/b/c", "/a/b/c"],
    ["/*", "/v1/users", "/v1/users"],
  ])("%s: %s becomes %s", (path, target, expected) => {
    const route = router({ host: null, path, pool: "a", stripPrefix: true });
    const routed = route("x", target.split("?")[0] ?? "");
    expect(withoutPrefix(target, routed ?? { prefix: "not routed" })).toBe(expected);
  });

  test("is left alone unless the route asks for it", () => {
    const routed = router({ host: null, path: "/v1/*", pool: "a" })("x", "/v1/users");
    expect(withoutPrefix("/v1/users", routed ?? { prefix: "not routed" })).toBe("/v1/users");
  });
});
