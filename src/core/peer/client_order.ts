/**
 * Client order: replies leave in the order the requests came.
 *
 * A write is answered when it commits; a read behind it waits here as its bytes. Entries are the
 * number of writes in a row, or a waiting request, so a client that only writes costs one counter.
 * Java, Python and Node clients match replies by position: nothing may overtake (client-protocol 3.4).
 */
import { assert } from "../base/assert.ts";
import type { WatchesPlace } from "../ops/reads.ts";
import type { Id } from "../wire/records.ts";

export interface Waiting {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly arrivedMs: number;
  /** Who asked, as it was known then: an auth packet counts for what comes after it. */
  readonly identities: readonly Id[];
  /** What its reply will be, about: so much is made at once when the write before it commits. */
  readonly replyBytes: number;
  /** A sync whose leader was not heard yet: neither it nor what is behind it may be answered. */
  blocked: boolean;
  /** How far it came, if it is one that takes several turns. */
  readonly place: WatchesPlace | null;
}

export class ClientOrder {
  #entries: (number | Waiting)[] = [];
  #head = 0;
  /** Requests without an answer: writes in flight and what waits behind them. */
  outstanding = 0;
  /** Reply bytes that are due when the writes commit, about. */
  replyBytesWaiting = 0;

  get empty(): boolean {
    return this.#head === this.#entries.length;
  }

  /** What is next is a waiting request that may be answered. */
  get isReady(): boolean {
    return this.ready !== null;
  }

  /** The oldest entry if it is a waiting request that may be answered, else null. */
  get ready(): Waiting | null {
    const entry = this.#entries[this.#head];
    return typeof entry === "object" && !entry.blocked ? entry : null;
  }

  pushWrite(): void {
    this.outstanding++;
    const last = this.#entries.length - 1;
    if (last >= this.#head && typeof this.#entries[last] === "number") (this.#entries[last] as number)++;
    else this.#entries.push(1);
  }

  pushWaiting(waiting: Waiting): void {
    this.outstanding++;
    this.replyBytesWaiting += waiting.replyBytes;
    this.#entries.push(waiting);
  }

  /** The oldest write is being answered. */
  shiftWrite(): void {
    const entry = this.#entries[this.#head];
    assert(typeof entry === "number", "a write is answered in its turn");
    this.outstanding--;
    if (entry > 1) this.#entries[this.#head] = entry - 1;
    else this.#advance();
  }

  /** Takes `ready` out. */
  shiftWaiting(): Waiting | null {
    const entry = this.ready;
    if (entry === null) return null;
    this.outstanding--;
    this.replyBytesWaiting -= entry.replyBytes;
    this.#advance();
    return entry;
  }

  /** Nobody is left to answer to: all that is waiting or in flight is dropped. Tells what waited. */
  drop(dropped: (waiting: Waiting) => void): void {
    for (let i = this.#head; i < this.#entries.length; i++) {
      const entry = this.#entries[i];
      if (typeof entry === "object") dropped(entry);
    }
    this.#entries = [];
    this.#head = 0;
    this.outstanding = 0;
    this.replyBytesWaiting = 0;
  }

  #advance(): void {
    this.#head++;
    if (this.#head === this.#entries.length) {
      if (this.#head > 64) this.#entries = [];
      else this.#entries.length = 0;
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
  }
}
