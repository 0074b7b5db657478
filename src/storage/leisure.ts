/**
 * Leisure: what the worker does between commits. The tree table follows the log, its WAL is moved to
 * its file, and the log is purged of what is durable there.
 *
 * All of it is one generator, a `pass`, that may be left at each `yield` for an append: some 30 µs of
 * work, but for a commit of the table and a checkpoint, which are kept to a few milliseconds by
 * ending a chunk once it has dirtied about `pagesPerChunk` pages.
 */
import { OpCode } from "../core/wire/opcodes.ts";
import { digestVersion, txnDigestBytes, txnHeaderAt, walkTxn } from "../core/wire/txns.ts";
import type { TxnVisitor } from "../core/wire/txns.ts";
import { SqliteError } from "../runtime/ports.ts";
import type { ClockPort } from "../runtime/ports.ts";
import { i32At, txnEndAt, txnZxidAt } from "./batch_bytes.ts";
import { rot, storageError } from "./errors.ts";
import type { LogBatch, LogFile } from "./log_file.ts";
import type { StorageOptions, TreeDigest } from "./storage.ts";
import type { TreeFile } from "./tree_file.ts";
import { PathTaken, TreeFollower } from "./tree_follower.ts";

const pagesPerChunk = 512;
const chunkBytesMax = 4 << 20;
const chunkRowsMin = 256;
const chunkRowsMax = 8192;
const txnsPerPause = 32;

interface Chunk {
  readonly batches: readonly LogBatch[];
  /** The table will be the tree as of this zxid, after so many txns. */
  zxid: number;
  total: number;
  bytes: number;
  digest: TreeDigest | null;
}

export class Leisure {
  readonly #log: LogFile;
  readonly #tree: TreeFile;
  readonly #options: StorageOptions;
  readonly #clock: ClockPort;
  #rowsMax = 1024;

  /** The table may follow up to here. */
  committed = 0;
  /** Bytes of the log that the table has not followed, about. */
  bytesBehind: number;
  checkpoints = 0;
  checkpointMsLast = 0;
  checkpointAtMs = 0;

  constructor(log: LogFile, tree: TreeFile, options: StorageOptions, clock: ClockPort) {
    this.#log = log;
    this.#tree = tree;
    this.#options = options;
    this.#clock = clock;
    this.bytesBehind = log.bytesBehind(tree.zxid);
  }

  /** Takes the counts of the leisure before it; its table was replaced by one that is all in its file. */
  follows(before: Leisure): void {
    this.checkpoints = before.checkpoints;
    this.checkpointMsLast = before.checkpointMsLast;
    this.checkpointAtMs = this.#clock.wallMs();
  }

  get isBehind(): boolean {
    return this.#tree.zxid < Math.min(this.committed, this.#log.last);
  }

  /** Follows to the end of what is committed, then checkpoints and purges. */
  *pass(): Generator<void, void, void> {
    let changed = false;
    while (this.isBehind) {
      let pages: number;
      try {
        if (!(yield* this.#chunk())) break;
        changed = true;
        pages = this.#tree.pagesWaiting();
        yield;
        if (pages >= pagesPerChunk && this.#checkpoint()) yield* this.#purge();
      } catch (error) {
        // Somebody writes to the table or vacuums it: that is not ours to end. Later, then.
        if (error instanceof SqliteError && error.code === "SQLITE_BUSY") return;
        throw error;
      }
      yield;
    }
    if (!changed) return;
    yield;
    if (this.#checkpoint()) yield* this.#purge();
    if (!this.isBehind) this.bytesBehind = 0;
  }

  /** Brings one chunk of the log into the table. False: there is none. */
  *#chunk(): Generator<void, boolean, void> {
    const batches: LogBatch[] = [];
    const chunk: Chunk = {
      batches,
      zxid: this.#tree.zxid,
      total: this.#tree.total,
      bytes: 0,
      digest: this.#tree.digest,
    };
    let follower = new TreeFollower(this.#tree, false);
    while (chunk.bytes < chunkBytesMax && follower.size < this.#rowsMax && chunk.zxid < this.committed) {
      const more = this.#log.batchesAfter(chunk.zxid);
      const before = chunk.zxid;
      for (const batch of more) {
        if (batch.first > this.committed || chunk.bytes >= chunkBytesMax || follower.size >= this.#rowsMax) {
          break;
        }
        batches.push(batch);
        yield* this.#tell(batch, chunk, follower, this.#rowsMax, this.committed);
      }
      if (chunk.zxid === before) break;
    }
    if (chunk.zxid === this.#tree.zxid) return false;
    const rows = Math.max(1, follower.size);
    const pagesBefore = this.#tree.pagesWaiting();
    try {
      yield* this.#write(follower, chunk);
    } catch (error) {
      if (!(error instanceof PathTaken)) throw error;
      follower = new TreeFollower(this.#tree, true);
      const again: Chunk = { ...chunk, zxid: this.#tree.zxid, total: this.#tree.total };
      for (const batch of batches) yield* this.#tell(batch, again, follower, Infinity, chunk.zxid);
      yield* this.#write(follower, chunk);
    }
    const pages = Math.max(1, this.#tree.pagesWaiting() - pagesBefore);
    const rowsWanted = Math.round(rows * pagesPerChunk / pages);
    this.#rowsMax = Math.max(chunkRowsMin, Math.min(chunkRowsMax, rowsWanted, this.#rowsMax * 2));
    this.bytesBehind = Math.max(0, this.bytesBehind - chunk.bytes);
    return true;
  }

  /** Tells the txns of a batch that are behind the chunk and at or before `upTo`, while there is room. */
  *#tell(
    batch: LogBatch,
    chunk: Chunk,
    follower: TreeFollower,
    rowsMax: number,
    upTo: number,
  ): Generator<void, void, void> {
    const { bytes } = batch;
    const totalBefore = batch.total - batch.txns;
    if (totalBefore > chunk.total) {
      const found = `${totalBefore - chunk.total} txns before zxid 0x${
        batch.first.toString(16)
      } are not there`;
      throw rot("log", `follow the log ${this.#log.path}`, found);
    }
    let told = 0;
    let index = 0;
    for (let at = 0; at < bytes.length;) {
      const end = txnEndAt(bytes, at);
      const zxid = txnZxidAt(bytes, at);
      index++;
      if (zxid > chunk.zxid) {
        if (zxid > upTo || follower.size >= rowsMax) return;
        this.#walk(bytes, at + 4, end, follower);
        chunk.zxid = zxid;
        chunk.total = totalBefore + index;
        chunk.bytes += end - at;
        chunk.digest = digestBehind(bytes, at + 4, end, chunk.digest);
        if (++told % txnsPerPause === 0) yield;
      }
      at = end;
    }
  }

  #walk(bytes: Uint8Array, start: number, end: number, visitor: TxnVisitor): void {
    if (walkTxn(bytes, start, end, visitor)) return;
    const zxid = txnZxidAt(bytes, start - 4).toString(16);
    throw storageError(
      "damaged",
      `follow the log ${this.#log.path}`,
      `the bytes at zxid 0x${zxid} are no txn`,
    );
  }

  *#write(follower: TreeFollower, chunk: Chunk): Generator<void, void, void> {
    this.#tree.begin();
    try {
      yield* follower.flush();
    } catch (error) {
      this.#tree.rollback();
      throw error;
    }
    this.#tree.commit(chunk.zxid, chunk.total, chunk.digest);
  }

  /** True: all that the table holds is durable. */
  #checkpoint(): boolean {
    const start = this.#clock.monotonicMs();
    const { complete } = this.#tree.checkpoint();
    this.checkpointMsLast = this.#clock.monotonicMs() - start;
    if (!complete) return false;
    this.checkpoints++;
    this.checkpointAtMs = this.#clock.wallMs();
    return true;
  }

  *#purge(): Generator<void, void, void> {
    const { logRetainTxns, logRetainMs } = this.#options;
    const zxid = this.#tree.zxid;
    const timeMsMin = logRetainMs === 0 ? 0 : this.#clock.wallMs() - logRetainMs;
    while (this.#log.purgeStep(zxid, logRetainTxns, timeMsMin)) yield;
  }
}

/** The digest that the txn says it left; an error left what there was. Null where it says none. */
function digestBehind(
  bytes: Uint8Array,
  start: number,
  end: number,
  before: TreeDigest | null,
): TreeDigest | null {
  if (txnHeaderAt(bytes, start, end).type === OpCode.Error) return before;
  const at = end - txnDigestBytes;
  if (i32At(bytes, at) !== digestVersion) return null;
  return { hi: i32At(bytes, at + 4) >>> 0, lo: i32At(bytes, at + 8) >>> 0 };
}
