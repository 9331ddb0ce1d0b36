import type { HeaderReader } from "../plugin.ts";

/** Whether a request has a field, and what it says: what of a request's header a pick has looked at. */
export type ReadFields = ReadonlyMap<string, string | null>;

/** Which header fields strategies read while a pick is watched. One per worker: picks are synchronous. */
export class HeaderReads {
  #reading: Map<string, string | null> | null = null;

  begin(): void {
    this.#reading = new Map();
  }

  /** What was read since `begin`, by lower-case name; null: the request has no such field. */
  end(): ReadFields {
    const read = this.#reading ?? new Map<string, string | null>();
    this.#reading = null;
    return read;
  }

  note(headers: Pick<HeaderReader, "get">, name: string): void {
    if (this.#reading === null) return;
    // A strategy can hand in what only looks like text, and what is noted is sent to the master.
    const key: unknown = name.toLowerCase();
    if (typeof key === "string") this.#reading.set(key, headers.get(name));
  }
}
