import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Problem } from "../../errors.ts";
import { bunCommand } from "../../process/self.ts";
import { apiPaths, apiTypes } from "./api-files.ts";
import ambientRuntime from "./ambient-runtime.txt" with { type: "text" };

/**
 * The type errors of a strategy file and what it imports, by settings of our own: those of the folder
 * have no say in how it is bundled either. Throws when there is no answer.
 */
export async function findTypeErrors(file: string, tempDir: string): Promise<Problem[]> {
  const project = join(tempDir, "types");
  await mkdir(project, { recursive: true });
  for (const [name, text] of Object.entries(apiTypes())) await writeFile(join(project, name), text);
  const ambient = join(project, "ambient-runtime.d.ts");
  await writeFile(ambient, ambientRuntime);
  const installed = findInstalledTypes(dirname(file));
  const settings = {
    compilerOptions: {
      target: "ESNext",
      module: "Preserve",
      moduleResolution: "bundler",
      lib: ["ESNext", "WebWorker"],
      strict: true,
      // A strategy without any import is a strategy, and says nothing about the types of its parameters.
      noImplicitAny: false,
      allowJs: true,
      checkJs: false,
      allowImportingTsExtensions: true,
      resolveJsonModule: true,
      skipLibCheck: true,
      noEmit: true,
      paths: apiPaths(project),
      types: installed === null ? [] : [installed.name],
      ...(installed === null ? {} : { typeRoots: [installed.root] }),
    },
    files: installed === null ? [file, ambient] : [file],
  };
  await writeFile(join(project, "tsconfig.json"), JSON.stringify(settings));

  const { command, env } = bunCommand([
    "check",
    "--no-script",
    "--no-pretty",
    "--all",
    "-p",
    project,
  ]);
  const child = Bun.spawn([...command], {
    cwd: dirname(file),
    env: { ...env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  const found = readErrors(stdout + stderr);
  if (code !== 0 && found.length === 0) {
    throw new Error(`the type checker ended with exit code ${code}:\n${stdout}${stderr}`);
  }
  return found;
}

/** `mine.ts(3,7): error TS2322: …`, with what explains it on indented lines below. */
const ERROR = /^(.+)\((\d+),(\d+)\): error (TS\d+): (.*)$/;

function readErrors(output: string): Problem[] {
  const found: { path: string; message: string }[] = [];
  for (const line of output.split("\n")) {
    const [, file, row, column, code, message] = ERROR.exec(line) ?? [];
    const last = found.at(-1);
    if (file !== undefined) {
      found.push({ path: `${file}:${row}:${column}`, message: `${message} (${code})` });
    } else if (/^\s+\S/.test(line) && last !== undefined) last.message += `\n${line}`;
  }
  return found;
}

/** Nearest first, as the compiler itself looks for them. */
function findInstalledTypes(
  folder: string,
): { readonly root: string; readonly name: string } | null {
  const root = join(folder, "node_modules/@types");
  for (const name of ["bun", "node"]) if (existsSync(join(root, name))) return { root, name };
  const parent = dirname(folder);
  return parent === folder ? null : findInstalledTypes(parent);
}
