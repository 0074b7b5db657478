/**
 * Link note: what the links have to say to an operator. Text of others is in `fields` or quoted.
 */
const windowMs = 60_000;
const notesMax = 10;

export interface LinkNote {
  note(
    level: "debug" | "info" | "warn" | "error",
    event: string,
    message: string,
    fields: Readonly<Record<string, string | number>>,
  ): void;
}

/** What strangers can cause is told ten times a minute: they shall not fill the log. */
export class NoteLimit {
  #sinceMs = -Infinity;
  #count = 0;

  allows(nowMs: number): boolean {
    if (nowMs - this.#sinceMs >= windowMs) {
      this.#sinceMs = nowMs;
      this.#count = 0;
    }
    return ++this.#count <= notesMax;
  }
}
