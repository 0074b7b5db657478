/**
 * Ledger: the txns that are proposed and not yet committed, in zxid order.
 *
 * Proposals are written straight into the batch that the next append will take (`repeated i32
 * length, txn`); while one batch is on its way to the disk the next one fills. A txn is never looked
 * into here: the ledger orders bytes. An ensemble of one commits what is durable.
 *
 * Invariant: committed <= durable <= proposed, and each only grows.
 */
import { assert, must } from "../base/assert.ts";
import type { Zxid } from "../base/zxid.ts";
import { zxidZero } from "../base/zxid.ts";
import { Writer } from "../wire/writer.ts";

/** A batch as the shell appends it. */
export interface AppendBatch {
  /** `repeated i32 length, txn`; the caller may give the bytes away. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly first: Zxid;
  readonly last: Zxid;
  readonly txns: number;
}

interface Batch {
  writer: Writer;
  first: Zxid;
  last: Zxid;
  txns: number;
}

/** Told each committed txn, in order: `bytes[start, end)`, who asked for it and when. */
export type CommitVisitor = (
  bytes: Uint8Array,
  start: number,
  end: number,
  origin: number,
  arrivedMs: number,
) => void;

/** A batch buffer above this is let go after use. */
const batchBytesKept = 1 << 20;

export class Ledger {
  proposed: Zxid;
  durable: Zxid;
  committed: Zxid;
  #filling: Batch = { writer: new Writer(4096), first: zxidZero, last: zxidZero, txns: 0 };
  #spare: Writer | null = null;
  /** Appended or being appended, not yet committed; oldest first. */
  readonly #batches: Batch[] = [];
  /** Per txn in flight: the connection that asked (0 for none) and the time; parallel rings. */
  #origins = new Int32Array(1024);
  #arrivals = new Float64Array(1024);
  #ringHead = 0;
  #ringCount = 0;

  constructor(zxid: Zxid) {
    this.proposed = this.durable = this.committed = zxid;
  }

  /** Txns proposed and not committed. */
  get inFlight(): number {
    return this.#ringCount;
  }

  /** Bytes that wait for the next append. */
  get bytesWaiting(): number {
    return this.#filling.writer.length;
  }

  /** Where the next txn is written: its length first, patched by `propose`. */
  get writer(): Writer {
    return this.#filling.writer;
  }

  /** The txn that was just written at `at` (its length word) is proposal `zxid`. */
  propose(zxid: Zxid, at: number, origin: number, arrivedMs: number): void {
    assert(zxid > this.proposed, `proposals go up: ${zxid} after ${this.proposed}`);
    const batch = this.#filling;
    batch.writer.i32At(at, batch.writer.length - at - 4);
    if (batch.txns === 0) batch.first = zxid;
    batch.last = zxid;
    batch.txns++;
    this.proposed = zxid;
    if (this.#ringCount === this.#origins.length) this.#growRing();
    const slot = (this.#ringHead + this.#ringCount++) & (this.#origins.length - 1);
    this.#origins[slot] = origin;
    this.#arrivals[slot] = arrivedMs;
  }

  #growRing(): void {
    const size = this.#origins.length;
    const origins = new Int32Array(size * 2);
    const arrivals = new Float64Array(size * 2);
    for (let i = 0; i < size; i++) {
      const slot = (this.#ringHead + i) & (size - 1);
      origins[i] = this.#origins[slot] as number;
      arrivals[i] = this.#arrivals[slot] as number;
    }
    this.#origins = origins;
    this.#arrivals = arrivals;
    this.#ringHead = 0;
  }

  /** The next batch for the log, or null. A copy: the txns are still needed here. */
  takeAppend(): AppendBatch | null {
    const batch = this.#filling;
    if (batch.txns === 0) return null;
    this.#batches.push(batch);
    this.#filling = { writer: this.#spare ?? new Writer(4096), first: zxidZero, last: zxidZero, txns: 0 };
    this.#spare = null;
    return { bytes: batch.writer.copy(), first: batch.first, last: batch.last, txns: batch.txns };
  }

  /** The log holds everything up to `last`; alone in the ensemble, that commits it. */
  durableUpTo(last: Zxid, visit: CommitVisitor): void {
    assert(
      last >= this.durable && last <= this.proposed,
      `durable ${last} is between ${this.durable} and ${this.proposed}`,
    );
    this.durable = last;
    while (this.#batches.length > 0 && must(this.#batches[0], "not empty").last <= last) {
      this.#commit(must(this.#batches.shift(), "not empty"), visit);
    }
    assert(this.committed === last, "batches become durable as a whole");
  }

  #commit(batch: Batch, visit: CommitVisitor): void {
    const { bytes, length } = batch.writer;
    let at = 0;
    while (at < length) {
      const size = ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) |
        ((bytes[at + 2] as number) << 8) |
        (bytes[at + 3] as number);
      const slot = this.#ringHead;
      this.#ringHead = (slot + 1) & (this.#origins.length - 1);
      this.#ringCount--;
      visit(bytes, at + 4, at + 4 + size, this.#origins[slot] as number, this.#arrivals[slot] as number);
      at += 4 + size;
    }
    this.committed = batch.last;
    if (bytes.length <= batchBytesKept) {
      batch.writer.clear();
      this.#spare = batch.writer;
    }
  }
}
