import { statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ConfigError } from "../../errors.ts";
import { bunCommand } from "../../process/self.ts";
import { apiModules } from "./api-files.ts";

export interface RunTestsInput {
  /** None: every test file of the working directory. */
  readonly files: readonly string[];
  readonly filter: string | undefined;
  readonly tempDir: string;
}

/**
 * Runs tests with Bun's runner, in a child whose output is ours, and gives its exit code. What
 * `leastwise` and `leastwise/testing` mean comes from this program, whatever lies in `.leastwise/`.
 *
 * @throws {ConfigError} when a file is not there.
 */
export async function runTests({ files, filter, tempDir }: RunTestsInput): Promise<number> {
  refuseMissing(files);
  for (const [name, text] of Object.entries(await apiModules())) {
    await writeFile(join(tempDir, name), text);
  }
  const preload = join(tempDir, "preload.js");
  await writeFile(preload, PRELOAD);
  const { command, env } = bunCommand([
    "test",
    `--preload=${preload}`,
    ...(filter === undefined ? [] : [`--test-name-pattern=${filter}`]),
    // Absolute: otherwise Bun takes it for a part of a name.
    ...files.map((file) => resolve(file)),
  ]);
  const child = Bun.spawn([...command], { env, stdio: ["ignore", "inherit", "inherit"] });
  return await child.exited;
}

/** Modules and not `onResolve`, which Bun does not ask about bare names at run time. */
const PRELOAD = `import { plugin } from "bun";
plugin({
  name: "leastwise",
  setup(build) {
    const supply = (name, file) =>
      build.module(name, async () => ({ exports: await import(import.meta.dir + file), loader: "object" }));
    supply("leastwise", "/index.js");
    supply("leastwise/testing", "/testing.js");
  },
});
// Before any strategy is loaded: what one takes at its top is to be found there, as by plugin check.
(await import(import.meta.dir + "/testing.js")).makeSwitchable();
// What a test starts is to be what it is.
delete process.env.BUN_BE_BUN;
`;

function refuseMissing(files: readonly string[]): void {
  const problems = files.flatMap((file) => {
    const stat = statSync(resolve(file), { throwIfNoEntry: false });
    if (stat !== undefined) return [];
    return [{ path: "FILES", message: `found ${JSON.stringify(file)}, but there is no such file` }];
  });
  if (problems.length > 0) throw new ConfigError(problems);
}
