/** Writes `README.md` beside it: which test covers which case. `bun run conformance`. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { readCases, readEvidence } from "./coverage.ts";
import { formatTable } from "./table.ts";

writeFileSync(join(import.meta.dir, "README.md"), formatTable(readCases(), readEvidence()));
