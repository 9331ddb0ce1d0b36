import { describe, expect, test } from "bun:test";
import { afterProbe, type HealthState } from "../../src/health/health-state.ts";
import type { Health } from "../../src/plugin.ts";

/** Health after each probe, `+` good and `-` bad. */
function run(probes: string, start: Health = "unknown", rise = 2, fall = 3): string {
  let state: HealthState = { health: start, against: 0 };
  return [...probes]
    .map((probe) => {
      state = afterProbe(state, probe === "+", { rise, fall });
      return state.health === "healthy" ? "H" : state.health === "unhealthy" ? "U" : "?";
    })
    .join("");
}

describe("health after probes", () => {
  test("the first probe decides alone", () => {
    expect(run("+")).toBe("H");
    expect(run("-")).toBe("U");
  });

  test("fall 3: two bad probes change nothing, three do", () => {
    expect(run("--", "healthy")).toBe("HH");
    expect(run("---", "healthy")).toBe("HHU");
  });

  test("rise 2: one good probe changes nothing, two do", () => {
    expect(run("+-", "unhealthy")).toBe("UU");
    expect(run("++", "unhealthy")).toBe("UH");
  });

  test("only probes in a row count", () => {
    expect(run("--+--+--", "healthy")).toBe("HHHHHHHH");
    expect(run("+-+-+-", "unhealthy")).toBe("UUUUUU");
  });

  test("after each change the other threshold starts from nothing", () => {
    expect(run("+---++---")).toBe("HHHUUHHHU");
  });

  test("thresholds of 1 follow every probe", () => {
    expect(run("+-+-", "unknown", 1, 1)).toBe("HUHU");
  });
});
