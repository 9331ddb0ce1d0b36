/** Where it goes what a strategy has to say about one attempt: its span, if it has one. */

export type NoteValue = string | number | boolean;

/** Names and values have been checked (by `NoteTaker`). Never throws. */
export interface AttemptNotes {
  setAttribute(name: string, value: NoteValue): void;
  addEvent(name: string, attributes: Readonly<Record<string, NoteValue>>): void;
}

/** More notes than this of one attempt are dropped: a trace is no log. */
export const MAX_NOTES = 32;

type Note =
  | readonly [name: string, value: NoteValue]
  | readonly [name: string, value: null, attributes: Readonly<Record<string, NoteValue>>];

/** Keeps what is said during a pick until its attempt exists. */
export class PendingNotes implements AttemptNotes {
  readonly #notes: Note[] = [];

  setAttribute(name: string, value: NoteValue): void {
    if (this.#notes.length < MAX_NOTES) this.#notes.push([name, value]);
  }

  addEvent(name: string, attributes: Readonly<Record<string, NoteValue>>): void {
    if (this.#notes.length < MAX_NOTES) this.#notes.push([name, null, attributes]);
  }

  tell(notes: AttemptNotes): void {
    for (const [name, value, attributes] of this.#notes) {
      if (value !== null) notes.setAttribute(name, value);
      else notes.addEvent(name, attributes);
    }
  }
}
