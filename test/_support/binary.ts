import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const root = join(import.meta.dir, "../..");

/** A first build takes some seconds; use as the timeout of the hook that waits for it. */
export const BUILD_TIMEOUT_MS = 120_000;

let building: Promise<string> | undefined;

/**
 * The path of the executable for this machine: `LEASTWISE_BINARY` when that is set, else
 * `dist/leastwise`, built again when a source is newer than it. Once for all tests of a run.
 */
export function leastwiseBinary(): Promise<string> {
  building ??= findOrBuild();
  return building;
}

async function findOrBuild(): Promise<string> {
  const given = process.env["LEASTWISE_BINARY"];
  if (given !== undefined && given !== "") {
    await stat(given);
    return resolve(given);
  }
  const outfile = join(
    root,
    process.platform === "win32" ? "dist/leastwise.exe" : "dist/leastwise",
  );
  const builtAt = await modifiedAt(outfile);
  if (builtAt !== null && builtAt > (await newestSource())) return outfile;
  const build = Bun.spawn([process.execPath, "src/build.ts"], {
    cwd: root,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, stdout, stderr] = await Promise.all([
    build.exited,
    new Response(build.stdout).text(),
    new Response(build.stderr).text(),
  ]);
  if (code !== 0) throw new Error(`bun src/build.ts: exit code ${code}\n${stdout}${stderr}`);
  return outfile;
}

async function newestSource(): Promise<number> {
  let newest = 0;
  const files = new Bun.Glob("{src,plugins}/**/*").scan({ cwd: root, onlyFiles: true });
  for await (const file of files)
    newest = Math.max(newest, (await modifiedAt(join(root, file))) ?? 0);
  for (const file of ["package.json", "bun.lock", "tsconfig.json"]) {
    newest = Math.max(newest, (await modifiedAt(join(root, file))) ?? 0);
  }
  return newest;
}

async function modifiedAt(file: string): Promise<number | null> {
  try {
    return (await stat(file)).mtimeMs;
  } catch {
    return null;
  }
}

export interface Finished {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where the executable has nothing but itself: a folder of its own and an environment without `PATH`. */
export interface BareFolder extends AsyncDisposable {
  readonly path: string;
  write(name: string, text: string): Promise<void>;
  /** Starts the executable here. Whoever starts a server ends it. */
  spawn(args: readonly string[]): Promise<Bun.Subprocess<"ignore", "pipe", "pipe">>;
  run(...args: string[]): Promise<Finished>;
}

export async function createBareFolder(): Promise<BareFolder> {
  const path = await mkdtemp(join(tmpdir(), "leastwise-binary-"));
  const spawn = async (args: readonly string[]) =>
    Bun.spawn([await leastwiseBinary(), ...args], {
      cwd: path,
      env: { PATH: "", HOME: path },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
  return {
    path,
    spawn,
    async write(name, text) {
      await Bun.write(join(path, name), text);
    },
    async run(...args) {
      const running = await spawn(args);
      const [exitCode, stdout, stderr] = await Promise.all([
        running.exited,
        new Response(running.stdout).text(),
        new Response(running.stderr).text(),
      ]);
      return { exitCode, stdout, stderr };
    },
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true });
    },
  };
}
