/** What the proxy's log says that a soak must know, of a log that is not kept. */

/** None of them may come up, whatever is done. */
const NEVER = ["the proxy failed", "nobody handles", "quarantined", "cannot serve"];
const DEATH = "worker ended, replacing it";

export class SoakLog {
  /** Workers that died. */
  deaths = 0;
  lastDeath = "";
  /** The first line with each message that must not come up. */
  readonly findings = new Map<string, string>();
  #rest = "";

  /** The next piece of it. */
  push(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.includes(DEATH)) {
        this.deaths++;
        this.lastDeath = line;
      }
      const found = NEVER.find((message) => line.includes(message));
      if (found !== undefined && !this.findings.has(found)) this.findings.set(found, line);
    }
  }
}
