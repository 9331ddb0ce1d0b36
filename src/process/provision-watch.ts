import { FileWatch } from "../config/watch.ts";
import type { Provisioned, ProvisionInput } from "./provision.ts";

type Provision = (more: Pick<ProvisionInput, "signal" | "onFile">) => Promise<Provisioned>;

/** Watches the files that the latest load was made of, as far as it came. */
export class ProvisionWatch {
  #files: ReadonlySet<string>;
  #watch: FileWatch | null = null;

  constructor(files: ReadonlySet<string>) {
    this.#files = files;
  }

  start(onChange: () => void): void {
    this.#watch = new FileWatch({ onChange });
    this.#watch.update({ files: [...this.#files], incomplete: false });
  }

  stop(): void {
    this.#watch?.stop();
    this.#watch = null;
  }

  async provision(provision: Provision, signal: AbortSignal): Promise<Provisioned> {
    const found = new Set<string>();
    let incomplete = true;
    try {
      const provisioned = await provision({ signal, onFile: (file) => found.add(file) });
      incomplete = false;
      return provisioned;
    } finally {
      // Where a load failed, what is in force still matters: its files may come back.
      this.#files = incomplete ? this.#files.union(found) : found;
      this.#watch?.update({ files: [...this.#files], incomplete });
    }
  }
}
