import { dirname } from "node:path";

/**
 * Imports what `bundleModule` made. Where `Bun.build` ran before in the same process, Bun sends even
 * an absolute path through `paths` of the working directory's tsconfig.json, and `"*"` there may
 * lead anywhere. A path is resolved within the call, so the process stands elsewhere just for that;
 * the module's own code runs later and finds the working directory as it was.
 */
export function importBundle(path: string): Promise<Record<string, unknown>> {
  const workingDirectory = process.cwd();
  process.chdir(dirname(path));
  try {
    return import(path);
  } finally {
    process.chdir(workingDirectory);
  }
}
