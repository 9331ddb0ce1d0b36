import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const entry = join(import.meta.dir, "../../src/cli.ts");

export interface Run {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** The program under test: the executable that `LEASTWISE_BINARY` names, or the sources. */
export function leastwiseCommand(): string[] {
  const binary = process.env["LEASTWISE_BINARY"];
  return binary ? [binary] : [process.execPath, entry];
}

/** Runs the program to its end, with nothing of our own environment but what Bun needs. */
export async function leastwise(args: readonly string[], { cwd, env }: RunOptions): Promise<Run> {
  const child = Bun.spawn([...leastwiseCommand(), ...args], {
    cwd,
    env: { HOME: tmpdir(), TMPDIR: tmpdir(), ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
}

export interface Folder extends AsyncDisposable {
  /** Absolute, without symbolic links. */
  readonly path: string;
  run(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Run>;
}

/** A folder with these files, by relative path; gone at the end of the test. */
export async function folderWith(files: Readonly<Record<string, string>>): Promise<Folder> {
  const path = await realpath(await mkdtemp(join(tmpdir(), "leastwise-test-")));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await writeFile(join(path, name), content);
  }
  return {
    path,
    run: (args, env) => leastwise(args, { cwd: path, ...(env ? { env } : {}) }),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}
