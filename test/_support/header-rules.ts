import type { HeaderRules } from "../../src/config/config.ts";

export const NO_HEADER_RULES: HeaderRules = { set: [], add: [], remove: [] };
