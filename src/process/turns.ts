/** Works that must not overlap: each begins when the one before has ended, however it ended. */
export class Turns {
  #last: Promise<void> | null = null;

  /** Begins at once when nobody else has the turn. Settles as the work does. */
  async take(work: () => Promise<void>): Promise<void> {
    const turn = this.#last === null ? work() : this.#last.then(work);
    const over = turn.catch(() => {});
    this.#last = over;
    try {
      await turn;
    } finally {
      if (this.#last === over) this.#last = null;
    }
  }
}
