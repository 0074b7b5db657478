/**
 * Note limit: what the core has to say, so often a minute.
 *
 * Most of its notes are caused by somebody on the network, and who opens a thousand connections a
 * second must not fill the log. Of each event the first hundred lines a minute are written; the rest
 * is counted and told in one line when the minute is over.
 */
import type { Note } from "../core/peer/outbox.ts";
import type { Logger } from "./logger.ts";

const windowMs = 60_000;
export const notesPerWindowMax = 100;

interface Window {
  readonly level: Note["level"];
  readonly sinceMs: number;
  told: number;
  untold: number;
}

export class NoteLimit {
  readonly #logger: Logger;
  /** By event; there are as many as names in the code. */
  readonly #windows = new Map<string, Window>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  write({ level, event, message, fields }: Note, nowMs: number): void {
    this.settle(nowMs);
    let window = this.#windows.get(event);
    if (window === undefined) {
      window = { level, sinceMs: nowMs, told: 0, untold: 0 };
      this.#windows.set(event, window);
    }
    if (window.told >= notesPerWindowMax) {
      window.untold++;
      return;
    }
    window.told++;
    this.#logger[level](event, message, fields);
  }

  /** Minutes that are over are summed up. */
  settle(nowMs: number): void {
    for (const [event, { level, sinceMs, untold }] of this.#windows) {
      if (nowMs - sinceMs < windowMs) continue;
      this.#windows.delete(event);
      if (untold === 0) continue;
      this.#logger[level](event, `${untold} more of these within a minute were not told`, { untold });
    }
  }
}
