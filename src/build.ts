/**
 * `bun run build` makes `dist/leastwise` for this machine; `bun run build --all` makes an executable
 * for every platform, and `SHA256SUMS`. Bun fetches another platform's runtime from the npm registry
 * once and keeps it in its cache.
 */
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join, relative } from "node:path";

const root = join(import.meta.dir, "..");
const dist = join(root, "dist");

const platforms = [
  "linux-x64",
  "linux-x64-musl",
  "linux-arm64",
  "linux-arm64-musl",
  "darwin-x64",
  "darwin-arm64",
  "windows-x64",
] as const;

/** What is released; each platform's executable is `leastwise-<platform>`. */
export type Platform = (typeof platforms)[number];

/** An executable could not be made; the message says which and why. */
export class BuildError extends Error {
  override readonly name = "BuildError";
}

export interface BuildOptions {
  /** Where the executable goes. It appears there whole: nobody can start half a file. */
  readonly outfile: string;
  /** Default: the platform this runs on. */
  readonly platform?: Platform;
}

/** Compiles the command line and all that it needs into one executable. Throws `BuildError`. */
export async function buildExecutable({ outfile, platform }: BuildOptions): Promise<void> {
  const windows =
    platform === undefined ? process.platform === "win32" : platform === "windows-x64";
  // Bun appends .exe by itself where it is missing. The process id: two test runs may build at once.
  const partial = `${outfile}.${process.pid}${windows ? ".exe" : ".partial"}`;
  await mkdir(dirname(outfile), { recursive: true });
  try {
    await Bun.build({
      entrypoints: [join(root, "src/cli.ts")],
      root,
      minify: true,
      // The map is inside the executable, so that a stack names our files and lines.
      sourcemap: "inline",
      bytecode: true,
      // As CommonJS, the default for bytecode, the code may not use import.meta.
      format: "esm",
      // What happens to be set where it is built stays there.
      env: "disable",
      define: {
        "process.env.NODE_ENV": '"production"',
        // Authors' tests import it, and an executable has no sources to bundle it from.
        LEASTWISE_TESTING: JSON.stringify(await bundleTesting()),
      },
      compile: {
        outfile: partial,
        ...(platform === undefined ? {} : { target: `bun-${platform}` as const }),
        // Nothing in the folder it is started in may change a server: bunfig.toml could preload code.
        autoloadDotenv: false,
        autoloadBunfig: false,
        autoloadTsconfig: false,
        autoloadPackageJson: false,
      },
    });
    await rename(partial, outfile);
  } catch (error) {
    throw new BuildError(`${relative(root, outfile)}: ${reasonOf(error)}`, { cause: error });
  } finally {
    await rm(partial, { force: true });
    // Written even though the map is inside; named after the executable without .exe.
    await rm(`${partial.replace(/\.exe$/, "")}.map`, { force: true });
  }
}

/** What `import … from "leastwise/testing"` runs, as one module. */
async function bundleTesting(): Promise<string> {
  const { outputs } = await Bun.build({
    entrypoints: [join(root, "src/testing.ts")],
    target: "bun",
    minify: { whitespace: true, syntax: true },
  });
  return (await outputs[0]?.text()) ?? "";
}

/** Writes the digests of files in `folder` to its `SHA256SUMS`, as `sha256sum --check` reads it. */
export async function writeChecksums(folder: string, names: readonly string[]): Promise<void> {
  let lines = "";
  for (const name of names) {
    const hash = new Bun.CryptoHasher("sha256");
    for await (const chunk of Bun.file(join(folder, name)).stream()) hash.update(chunk);
    lines += `${hash.digest("hex")}  ${name}\n`;
  }
  await Bun.write(join(folder, "SHA256SUMS"), lines);
}

/** Bun puts what went wrong into `errors`; its own message is "Bundle failed". */
function reasonOf(error: unknown): string {
  const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  return errors.map(describe).join("\n");
}

function describe(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (message.startsWith("Failed to download")) {
    return `${message}. The runtime of another platform comes from the npm registry: is it reachable?`;
  }
  if (!(error instanceof BuildMessage || error instanceof ResolveMessage)) return message;
  const at = error.position;
  return at === null ? message : `${relative(root, at.file)}:${at.line}:${at.column}: ${message}`;
}

async function build(names: ReadonlyMap<string, Platform | undefined>): Promise<void> {
  let done = 0;
  for (const [name, platform] of names) {
    const outfile = join(dist, name);
    const startedAt = performance.now();
    await buildExecutable(platform === undefined ? { outfile } : { outfile, platform });
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    const size = (Bun.file(outfile).size / 2 ** 20).toFixed(1);
    const step = names.size === 1 ? "" : `[${(done += 1)}/${names.size}] `;
    console.log(`${step}${relative(root, outfile)}  ${size} MiB  ${seconds} s`);
  }
}

async function main(args: readonly string[]): Promise<number> {
  const unknown = args.find((arg) => arg !== "--all");
  if (unknown !== undefined) {
    console.error(`unknown argument ${unknown}: only --all is allowed`);
    return 2;
  }
  try {
    if (args.length === 0) {
      await build(
        new Map([[process.platform === "win32" ? "leastwise.exe" : "leastwise", undefined]]),
      );
      return 0;
    }
    const names = new Map(
      platforms.map((platform) => [
        `leastwise-${platform}${platform === "windows-x64" ? ".exe" : ""}`,
        platform,
      ]),
    );
    await build(names);
    await writeChecksums(dist, [...names.keys()]);
    console.log(`${relative(root, join(dist, "SHA256SUMS"))}  ${names.size} digests`);
    return 0;
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(error.message);
    return 1;
  }
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
