/** Checked by `bun check`, never run: what is declared to authors is what there is. */
import * as testing from "../../src/testing.ts";
import type * as declared from "../../src/testing-api.ts";

// Overloads are for those who call, and are left out here.
testing satisfies Omit<typeof declared, "fakeBackends">;
testing.fakeBackends satisfies (count: number) => readonly unknown[];

type Undeclared = Exclude<keyof typeof testing, keyof typeof declared>;
export const undeclared: readonly Undeclared[] = [] satisfies readonly never[];
// @ts-expect-error there is none
export const one: Undeclared = "fakeClock";
