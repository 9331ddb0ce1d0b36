import type { StrategySpan } from "../plugin.ts";
import type { AttemptNotes, NoteValue } from "./attempt-notes.ts";
import { describeValue } from "../config/describe.ts";
import type { Warnings } from "./warnings.ts";

const NAME = /^[A-Za-z][\w.-]{0,63}$/;
const NAME_RULE = "1 to 64 letters, digits, _, . and -, beginning with a letter";
/** Longer text is cut: every attempt carries it to the collector. */
const MAX_LENGTH = 256;
const MAX_EVENT_ATTRIBUTES = 16;

/** `env.span`: what a strategy says goes to the attempt whose pick or hook is running, if it is recorded. */
export class NoteTaker implements StrategySpan {
  /** Null: nobody listens, which costs a strategy next to nothing. */
  target: AttemptNotes | null = null;
  readonly #warnings: Warnings;

  constructor(warnings: Warnings) {
    this.#warnings = warnings;
  }

  setAttribute(name: string, value: NoteValue): void {
    const { target } = this;
    if (target === null || !this.#isName(name) || !this.#isValue(name, value)) return;
    target.setAttribute(name, shortened(value));
  }

  addEvent(name: string, attributes: Readonly<Record<string, NoteValue>> = {}): void {
    const { target } = this;
    if (target === null || !this.#isName(name)) return;
    const checked = Object.entries(attributes)
      .slice(0, MAX_EVENT_ATTRIBUTES)
      .filter(([key, value]) => this.#isName(key) && this.#isValue(key, value))
      .map(([key, value]) => [key, shortened(value)] as const);
    target.addEvent(name, Object.fromEntries(checked));
  }

  #isName(name: unknown): name is string {
    if (typeof name === "string" && NAME.test(name)) return true;
    this.#warnings.warn(`env.span was given the name ${describeValue(name)}, allowed ${NAME_RULE}`);
    return false;
  }

  #isValue(name: string, value: unknown): value is NoteValue {
    if (typeof value === "string" || typeof value === "boolean" || Number.isFinite(value)) {
      return true;
    }
    const found = describeValue(value);
    this.#warnings.warn(
      `env.span was given ${found} for ${name}, allowed text, a finite number, true or false`,
    );
    return false;
  }
}

function shortened(value: NoteValue): NoteValue {
  return typeof value === "string" ? value.slice(0, MAX_LENGTH) : value;
}
