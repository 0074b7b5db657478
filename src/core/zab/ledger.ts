/**
 * Ledger: the txns that are proposed and not yet committed, in zxid order, and behind them the last
 * committed ones, for learners that were away.
 *
 * Proposals are written straight into the batch that the next append will take (`repeated i32
 * length, txn`); while one batch is on its way to the disk the next one fills. A batch keeps its
 * bytes until all of it is committed and durable, and then becomes history until that is too large;
 * so a txn's bytes are written once. A txn is never looked into here: the ledger orders bytes.
 *
 * ```
 *  floor        committed        durable        proposed
 *    │  history     │   in flight: logged  │  being logged │
 *    └──────────────┴──────────────────────┴───────────────┘   a quorum without us may commit
 *                                                              before we are durable
 * ```
 *
 * Invariant: floor <= committed <= proposed and durable <= proposed; each only grows, but for
 * `truncate` and `reset`.
 */
import { assert, fail, must } from "../base/assert.ts";
import { counterOf, epochOf, type Zxid, zxidHex, zxidZero } from "../base/zxid.ts";
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
  /** The first txn of it that is not committed. */
  at: number;
}

/** Told each txn, in order: `bytes[start, end)`, its zxid, who asked for it here and when. */
export type CommitVisitor = (
  bytes: Uint8Array,
  start: number,
  end: number,
  zxid: number,
  origin: number,
  arrivedMs: number,
) => void;

export type TxnReader = (bytes: Uint8Array, start: number, end: number, zxid: number) => void;

/** A batch buffer above this is let go after use. */
const batchBytesKept = 1 << 20;
const sparesMax = 3;
/** A batch begins with a buffer of so many bytes. */
const batchBytesMin = 4096;
/** What a batch in the history costs beside its bytes, about. */
const batchOverheadBytes = 160;

function i32At(b: Uint8Array, at: number): number {
  return ((b[at] as number) << 24) | ((b[at + 1] as number) << 16) | ((b[at + 2] as number) << 8) |
    (b[at + 3] as number);
}

/** The zxid of the txn whose length word is at `at`. */
function zxidAt(b: Uint8Array, at: number): number {
  return i32At(b, at + 16) * 0x1_0000_0000 + (i32At(b, at + 20) >>> 0);
}

export class Ledger {
  proposed: Zxid;
  durable: Zxid;
  committed: Zxid;
  /** Everything behind this zxid is here. */
  floor: Zxid;
  readonly #historyBytesMax: number;
  #historyBytes = 0;
  #filling: Batch = { writer: new Writer(batchBytesMin), first: zxidZero, last: zxidZero, txns: 0, at: 0 };
  /** Buffers that batches have left: a batch that grows into a new one costs more than its txns. */
  readonly #spares: Writer[] = [];
  /** Taken by the disk, oldest first: `[0, #open)` is history, the rest is not all committed. */
  #batches: Batch[] = [];
  #open = 0;
  /** Per txn in flight: the connection that asked (0 for none) and the time; parallel rings. */
  #origins = new Int32Array(1024);
  #arrivals = new Float64Array(1024);
  #ringHead = 0;
  #ringCount = 0;

  constructor(zxid: Zxid, historyBytesMax = 0) {
    this.proposed =
      this.durable =
      this.committed =
      this.floor =
        zxid;
    this.#historyBytesMax = historyBytesMax;
  }

  /** Txns proposed and not committed. */
  get inFlight(): number {
    return this.#ringCount;
  }

  /** Bytes that wait for the next append. */
  get bytesWaiting(): number {
    return this.#filling.writer.length;
  }

  get hasFilling(): boolean {
    return this.#filling.txns > 0;
  }

  /** When the oldest txn in flight arrived here; Infinity when there is none. */
  get oldestArrivedMs(): number {
    return this.#ringCount === 0 ? Infinity : this.#arrivals[this.#ringHead] as number;
  }

  /** Where the next txn is written: its length first, patched by `propose`. */
  get writer(): Writer {
    return this.#filling.writer;
  }

  /** The txn that was just written at `at` (its length word) is proposal `zxid`. */
  propose(zxid: Zxid, at: number, origin: number, arrivedMs: number): void {
    if (zxid <= this.proposed) fail(`proposals go up: ${zxidHex(zxid)} after ${zxidHex(this.proposed)}`);
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

  /** A txn that somebody else made. */
  accept(bytes: Uint8Array, start: number, end: number, zxid: Zxid, arrivedMs: number): void {
    const { writer } = this.#filling;
    const at = writer.room(4);
    writer.rawRange(bytes, start, end);
    this.propose(zxid, at, 0, arrivedMs);
  }

  /** What was accepted since birth came from the disk: it is durable, but not known to be committed. */
  loaded(): void {
    const batch = this.#filling;
    if (batch.txns > 0) {
      this.#batches.push(batch);
      this.#filling = this.#blank();
    }
    this.durable = this.proposed;
  }

  #blank(): Batch {
    const writer = this.#spares.pop() ?? new Writer(batchBytesMin);
    return { writer, first: zxidZero, last: zxidZero, txns: 0, at: 0 };
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
    this.#filling = this.#blank();
    const { first, last, txns } = batch;
    const bytes = batch.writer.copy();
    this.#settle();
    return { bytes, first, last, txns };
  }

  /** The log holds everything up to `last`. */
  durableUpTo(last: Zxid): void {
    if (last < this.durable || last > this.proposed) {
      fail(`durable ${zxidHex(last)} is between ${zxidHex(this.durable)} and ${zxidHex(this.proposed)}`);
    }
    this.durable = last;
    this.#settle();
  }

  /** Commits in order up to `zxid`, which was proposed. */
  commitUpTo(zxid: Zxid, visit: CommitVisitor): void {
    if (zxid > this.proposed) fail(`only what was proposed commits: ${zxidHex(zxid)}`);
    while (this.committed < zxid) {
      const batch = this.#batches[this.#open] ?? this.#filling;
      // What is told of a commit may propose, and the filling batch then moves: so it is asked anew.
      const { bytes } = batch.writer;
      const at = batch.at;
      assert(at < batch.writer.length, "what is not committed is there");
      const end = at + 4 + i32At(bytes, at);
      const next = zxidAt(bytes, at) as Zxid;
      assert(next > this.committed && next <= zxid, "txns commit in order");
      batch.at = end;
      this.committed = next;
      const slot = this.#ringHead;
      this.#ringHead = (slot + 1) & (this.#origins.length - 1);
      this.#ringCount--;
      visit(bytes, at + 4, end, next, this.#origins[slot] as number, this.#arrivals[slot] as number);
      if (batch !== this.#filling && batch.at === batch.writer.length) this.#open++;
    }
    this.#settle();
  }

  /** Batches that are committed and durable become history; what is too old of it goes. */
  #settle(): void {
    // A batch that was committed whole while it still filled is not counted yet.
    while (this.#open < this.#batches.length) {
      const batch = must(this.#batches[this.#open], "an open batch");
      if (batch.at < batch.writer.length) break;
      this.#open++;
    }
    let gone = 0;
    for (; gone < this.#open; gone++) {
      const batch = must(this.#batches[gone], "a batch of the history");
      if (batch.last > this.durable) break;
      if (this.#historyBytesMax > 0) break;
      this.#recycle(batch.writer);
      this.floor = batch.last;
    }
    if (gone > 0) {
      this.#batches.splice(0, gone);
      this.#open -= gone;
    }
    if (this.#historyBytesMax > 0) this.#settleHistory();
  }

  /** How many of `#batches` are counted in `#historyBytes`. */
  #counted = 0;

  #settleHistory(): void {
    for (; this.#counted < this.#open; this.#counted++) {
      const batch = must(this.#batches[this.#counted], "a batch of the history");
      if (batch.last > this.durable) break;
      const { writer } = batch;
      // A txn alone in a buffer for a hundred: the buffer is worth more than the copy.
      if (writer.length * 2 < writer.bytes.length) {
        const exact = new Writer();
        exact.bytes = writer.copy();
        exact.length = writer.length;
        batch.writer = exact;
        batch.at = exact.length;
        this.#recycle(writer);
      }
      this.#historyBytes += batch.writer.bytes.length + batchOverheadBytes;
    }
    let gone = 0;
    while (gone < this.#counted && this.#historyBytes > this.#historyBytesMax) {
      const batch = must(this.#batches[gone], "a batch of the history");
      this.#historyBytes -= batch.writer.bytes.length + batchOverheadBytes;
      this.floor = batch.last;
      this.#recycle(batch.writer);
      gone++;
    }
    // Many small batches: taken out together, or each would move all the others.
    if (gone === 0) return;
    this.#batches.splice(0, gone);
    this.#open -= gone;
    this.#counted -= gone;
  }

  #recycle(writer: Writer): void {
    if (writer.bytes.length > batchBytesKept || writer.bytes.length < batchBytesMin) return;
    writer.clear();
    const spares = this.#spares;
    spares.push(writer);
    // The greatest goes to the end, from where it is taken; the least one goes when there are enough.
    for (let i = spares.length - 1; i > 0; i--) {
      const [a, b] = [spares[i - 1] as Writer, spares[i] as Writer];
      if (a.bytes.length <= b.bytes.length) break;
      spares[i - 1] = b;
      spares[i] = a;
    }
    if (spares.length > sparesMax) spares.shift();
  }

  /** Tells the txns behind `after`, up to and with `upTo`. `after` must not lie below the floor. */
  read(after: number, upTo: number, visit: TxnReader): void {
    assert(after >= this.floor, "what is read is here");
    // Batches are in order: the first that may hold what is wanted.
    let low = 0;
    let high = this.#batches.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (must(this.#batches[middle], "in range").last <= after) low = middle + 1;
      else high = middle;
    }
    for (let i = low; i <= this.#batches.length; i++) {
      const { writer } = this.#batches[i] ?? this.#filling;
      for (let at = 0; at < writer.length;) {
        const end = at + 4 + i32At(writer.bytes, at);
        const zxid = zxidAt(writer.bytes, at);
        if (zxid > upTo) return;
        if (zxid > after) visit(writer.bytes, at + 4, end, zxid);
        at = end;
      }
    }
  }

  /** Is this a place in what is here: the floor itself or one of the txns? */
  has(zxid: number): boolean {
    if (zxid === this.floor) return true;
    if (zxid < this.floor || zxid > this.proposed) return false;
    let found = false;
    this.read(zxid - 1 < this.floor ? this.floor : zxid - 1, zxid, (_bytes, _start, _end, one) => {
      found ||= one === zxid;
    });
    return found;
  }

  /** Is it one of the txns that are proposed and not committed? Within an epoch there are no gaps. */
  isOpen(zxid: number): boolean {
    if (zxid <= this.committed || zxid > this.proposed || counterOf(zxid as Zxid) === 0) return false;
    return epochOf(zxid as Zxid) === epochOf(this.proposed) || this.has(zxid);
  }

  /** The last open txn up to `zxid`, or where everything is committed. */
  openUpTo(zxid: number): Zxid {
    let last = this.committed;
    this.read(last, zxid, (_bytes, _start, _end, one) => last = one as Zxid);
    return last;
  }

  /** Forgets every txn behind `after`; all is on the disk already. */
  truncate(after: Zxid): void {
    assert(!this.hasFilling, "what is truncated was appended");
    assert(after >= this.committed, `${zxidHex(after)} is not below what is committed`);
    for (let i = this.#batches.length - 1; i >= 0; i--) {
      const batch = must(this.#batches[i], "in range");
      if (batch.last <= after) break;
      if (batch.first > after) {
        this.#batches.pop();
        continue;
      }
      const { writer } = batch;
      let txns = 0;
      let at = 0;
      while (at < writer.length && zxidAt(writer.bytes, at) <= after) {
        batch.last = zxidAt(writer.bytes, at) as Zxid;
        at += 4 + i32At(writer.bytes, at);
        txns++;
      }
      writer.length = at;
      batch.txns = txns;
    }
    this.#open = Math.min(this.#open, this.#batches.length);
    this.#counted = Math.min(this.#counted, this.#open);
    let left = 0;
    this.read(this.committed, after, () => left++);
    this.#ringCount = left;
    this.proposed = after;
    this.durable = this.proposed;
    this.#settle();
  }

  /** Who asked is gone: what is in flight has no origin any more. */
  orphan(): void {
    this.#origins.fill(0);
  }

  /** A snapshot took the place of all that was here. */
  reset(zxid: Zxid): void {
    this.proposed =
      this.durable =
      this.committed =
      this.floor =
        zxid;
    this.#batches = [];
    this.#open = this.#counted = this.#historyBytes = 0;
    this.#filling = this.#blank();
    this.#ringHead = this.#ringCount = 0;
  }
}
