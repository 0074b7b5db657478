/**
 * Disk queue: what the core wants of its disk, in order, one at a time.
 *
 * Proposals need no place in the queue: while nothing else waits, each turn takes the batch that has
 * formed. Any other command first closes that batch and goes behind it, so what was accepted before a
 * promise is on the disk before the promise.
 */
import { assert } from "../base/assert.ts";
import type { DiskCommand } from "../zab/disk.ts";
import type { Ledger } from "../zab/ledger.ts";

interface Waiting {
  readonly command: DiskCommand;
  readonly then: (() => void) | null;
}

export class DiskQueue {
  readonly #waiting: Waiting[] = [];
  #underWay: Waiting | null = null;
  #sinceMs = 0;
  /** Batches form and are not taken: a snapshot that is not stored yet has to go before them, with them. */
  held = false;
  readonly #ledger: Ledger;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** Nothing is under way or waiting; the ledger may have a batch that nobody took. */
  get idle(): boolean {
    return this.#underWay === null && this.#waiting.length === 0;
  }

  push(command: DiskCommand, then: () => void): void {
    this.#seal();
    this.#waiting.push({ command, then });
  }

  #seal(): void {
    if (this.held) return;
    const ledger = this.#ledger;
    const batch = ledger.takeAppend();
    if (batch !== null) {
      this.#waiting.push({ command: { kind: "append", ...batch, committed: ledger.committed }, then: null });
    }
  }

  /** For how long the command under way has been, in ms. */
  silentMs(monoMs: number): number {
    return this.#underWay === null ? 0 : monoMs - this.#sinceMs;
  }

  /** We did not run for so long ourselves: that was not the disk's silence. */
  excuse(ms: number): void {
    this.#sinceMs += ms;
  }

  /** The next command, or null: there is none, or one is under way. */
  take(monoMs: number): DiskCommand | null {
    if (this.#underWay !== null) return null;
    if (this.#waiting.length === 0) this.#seal();
    this.#underWay = this.#waiting.shift() ?? null;
    this.#sinceMs = monoMs;
    return this.#underWay?.command ?? null;
  }

  /** What was taken last is done. */
  done(isAppend: boolean): void {
    const underWay = this.#underWay;
    assert(underWay !== null, "only what was taken can be done");
    assert(
      (underWay.command.kind === "append") === isAppend,
      "`durable` is for appends, `stored` for the rest",
    );
    this.#underWay = null;
    underWay.then?.();
  }
}
