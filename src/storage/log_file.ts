/**
 * The log: `log.db`, keyed by zxid, one row a batch; and in `meta` what has to change together with it.
 *
 * Held open under an exclusive lock, which is what keeps a second process out of the directory. In
 * WAL mode with synchronous=FULL an insert has returned only when its bytes were fsynced; SQLite
 * also syncs the directory when it first syncs a new WAL. What is read back is checked: the CRC of
 * the row, and that its txns are whole and in order.
 *
 * Rows follow one another without a gap: each one's `total` less its `txns` is the `total` before it.
 * `base` is the zxid that the first row lies right behind, where that is known.
 */
import { crc32 } from "../runtime/shared/crc32.ts";
import type { SqliteDatabase, SqliteStatement, SqliteValue } from "../runtime/ports.ts";
import { epochOf } from "../core/base/zxid.ts";
import type { Zxid } from "../core/base/zxid.ts";
import type { LogTail } from "../core/zab/disk.ts";
import { txnEndAt, txnTimeAt, txnZxidAt } from "./batch_bytes.ts";
import type { DatabaseKind } from "./database_files.ts";
import { storageError } from "./errors.ts";
import {
  logApplicationId,
  logSchema,
  logSql,
  logUpgrades,
  logVersion,
  metaSql,
  pageBytes,
} from "./schema.ts";
import type { SyncMode } from "./storage.ts";

export interface LogBatch {
  readonly first: number;
  readonly last: number;
  readonly txns: number;
  /** Txns ever appended, up to the end of this batch. */
  readonly total: number;
  readonly bytes: Uint8Array;
}

export function logKind(sync: SyncMode): DatabaseKind {
  return {
    applicationId: logApplicationId,
    version: logVersion,
    upgrades: logUpgrades,
    schema: logSchema,
    // Set before the first read: then no shared memory is used, and the lock is taken by that read.
    settingsFirst: "pragma locking_mode = exclusive; pragma cache_size = -1024",
    settings: `pragma journal_mode = wal; pragma synchronous = ${sync === "full" ? "full" : "off"};
      pragma wal_autocheckpoint = 0`,
  };
}

export interface Epochs {
  readonly accepted: number;
  readonly current: number;
}

/** Bytes after which a purge step stops. */
const purgeBytesStep = 1 << 20;
const readBytesStep = 1 << 20;
/** After a truncation, however large, a checkpoint is due in the next quiet moment. */
const logTruncatedPages = 64;
/** In `meta` of the log while the new table has not taken the old one's name. */
export const metaTreeNext = "tree_next";

export class LogFile {
  readonly path: string;
  readonly #database: SqliteDatabase;
  readonly #insert: SqliteStatement;
  readonly #holding: SqliteStatement;
  readonly #lengths: SqliteStatement;
  readonly #range: SqliteStatement;
  readonly #oldest: SqliteStatement;
  readonly #purge: SqliteStatement;
  readonly #bytesBehind: SqliteStatement;
  readonly #firstRow: SqliteStatement;
  readonly #lastRow: SqliteStatement;
  readonly #metaGet: SqliteStatement;
  readonly #metaPut: SqliteStatement;
  readonly #checkpoint: SqliteStatement;

  /** Zxid of the last txn in the log; 0 where there is none. */
  last = 0;
  /** Zxid of the first txn that is still there; 0 where there is none. */
  first = 0;
  total = 0;
  /** The first row lies right behind this zxid; -1 where that is not known any more. */
  base = 0;
  /** Known to be committed when the last row was appended. */
  committed = 0;
  /** About how many pages wait in the WAL for a checkpoint. */
  pagesWaiting = 0;
  /** Null: nobody has promised anything yet. */
  epochs: Epochs | null;
  /** Snapshots that have replaced table and log so far. */
  generation: number;
  /** Without an ensemble nobody writes epochs, and the log goes on: then they follow its zxids. */
  standsAlone = false;

  constructor(database: SqliteDatabase, path: string) {
    this.path = path;
    this.#database = database;
    this.#insert = database.prepare(logSql.insert);
    this.#holding = database.prepare(logSql.holding);
    this.#lengths = database.prepare(logSql.lengths);
    this.#range = database.prepare(logSql.range);
    this.#oldest = database.prepare(logSql.oldest);
    this.#purge = database.prepare(logSql.purge);
    this.#bytesBehind = database.prepare(logSql.bytesBehind);
    this.#firstRow = database.prepare(logSql.firstRow);
    this.#lastRow = database.prepare(logSql.lastRow);
    this.#metaGet = database.prepare(metaSql.get);
    this.#metaPut = database.prepare(metaSql.put);
    this.#checkpoint = database.prepare("pragma wal_checkpoint(passive)");
    this.generation = this.#metaNumber("generation") ?? 0;
    const accepted = this.#metaNumber("epoch_accepted");
    const current = this.#metaNumber("epoch_current");
    this.epochs = accepted === null || current === null ? null : { accepted, current };
    this.#look();
  }

  /** Reads where the rows begin and end. */
  #look(): void {
    const last = this.#lastRow.get();
    this.last = Number(last?.[1] ?? 0);
    this.total = Number(last?.[3] ?? 0);
    this.committed = Number(last?.[4] ?? 0);
    this.#lookFirst();
  }

  #lookFirst(): void {
    const first = this.#firstRow.get();
    this.first = Number(first?.[0] ?? 0);
    const totalBefore = Number(first?.[2] ?? 0) - Number(first?.[1] ?? 0);
    const holds = first === undefined || totalBefore === (this.#metaNumber("base_total") ?? 0);
    this.base = holds ? this.#metaNumber("base") ?? 0 : -1;
  }

  meta(name: string): SqliteValue | undefined {
    return this.#metaGet.get(name)?.[0];
  }

  putMeta(name: string, value: SqliteValue): void {
    this.#metaPut.run(name, value);
    this.pagesWaiting += 1;
  }

  dropMeta(name: string): void {
    this.#database.prepare(metaSql.drop).run(name);
    this.pagesWaiting += 1;
  }

  #metaNumber(name: string): number | null {
    const value = this.meta(name);
    return typeof value === "number" ? value : null;
  }

  /** Durable, and all of it or nothing. What fails in it ends the storage, and the file rolls back. */
  #transaction(work: () => void): void {
    this.#database.exec("begin immediate");
    work();
    this.#database.exec("commit");
  }

  /** Does it still hold all that ever was? */
  startsAtBirth(): boolean {
    return this.generation === 0 && this.base === 0;
  }

  /** One transaction. When this returns the batch is durable; when it throws, nothing of it is. */
  append(bytes: Uint8Array, first: number, last: number, txns: number, committed: number): void {
    const total = this.total + txns;
    const insert = () =>
      this.#insert.run(first, last, txns, total, txnTimeAt(bytes, 0), crc32(bytes), bytes, committed);
    const epoch = epochOf(last as Zxid);
    if (this.standsAlone && this.epochs !== null && epoch > this.epochs.current) {
      const epochs = { accepted: Math.max(epoch, this.epochs.accepted), current: epoch };
      this.#transaction(() => {
        insert();
        this.#insertEpochs(epochs);
      });
    } else insert();
    this.total = total;
    this.last = last;
    this.committed = committed;
    if (this.first === 0) this.first = first;
    this.pagesWaiting += Math.ceil(bytes.length / pageBytes) + 1;
  }

  putEpochs(epochs: Epochs): void {
    this.#transaction(() => this.#insertEpochs(epochs));
  }

  #insertEpochs(epochs: Epochs): void {
    this.putMeta("epoch_accepted", epochs.accepted);
    this.putMeta("epoch_current", epochs.current);
    this.epochs = epochs;
  }

  /** Every txn behind `after` goes; of a batch that reaches over it the first part stays. */
  truncate(after: number): void {
    const statement = this.#database.prepare(logSql.deleteBehind);
    this.#transaction(() => {
      const holding = this.#holding.get(after);
      if (holding !== undefined && Number(holding[1]) > after) this.#cut(Number(holding[0]), after);
      statement.run(after);
    });
    statement.finalize();
    this.pagesWaiting += logTruncatedPages;
    this.#look();
  }

  #cut(first: number, after: number): void {
    const [batch] = this.#range.all(first, first).map((row) => this.#checked(row));
    if (batch === undefined) return;
    let [at, txns, last] = [0, 0, first];
    while (at < batch.bytes.length && txnZxidAt(batch.bytes, at) <= after) {
      last = txnZxidAt(batch.bytes, at);
      at = txnEndAt(batch.bytes, at);
      txns++;
    }
    const bytes = batch.bytes.subarray(0, at);
    const total = batch.total - batch.txns + txns;
    const statement = this.#database.prepare(logSql.cut);
    statement.run(last, txns, total, crc32(bytes), bytes, after, first);
    statement.finalize();
  }

  /**
   * The log goes on behind the table, which is the tree as of `zxid` after `total` txns; rows that
   * end before it are of no use and would leave a gap.
   */
  goOnBehind(zxid: number, total: number): void {
    if (this.last < zxid && (this.first !== 0 || this.base !== zxid)) {
      this.empty(zxid, total, this.generation);
    }
    this.last = Math.max(this.last, zxid);
    this.total = Math.max(this.total, total);
  }

  /**
   * No rows any more: the next one lies right behind `base`. With a new `generation` this is also
   * the moment at which a new table takes the old one's place (replacement.ts); `tail` is the first
   * row behind it, there in the same moment.
   */
  empty(base: number, total: number, generation: number, tail: LogTail | null = null): void {
    this.#transaction(() => {
      this.#database.exec("delete from batch");
      this.putMeta("base", base);
      this.putMeta("base_total", total);
      if (tail !== null) {
        const { bytes, first, last, txns, committed } = tail;
        this.#insert.run(
          first,
          last,
          txns,
          total + txns,
          txnTimeAt(bytes, 0),
          crc32(bytes),
          bytes,
          committed,
        );
      }
      if (generation === this.generation) return;
      this.putMeta("generation", generation);
      this.putMeta(metaTreeNext, 1);
    });
    this.generation = generation;
    this.pagesWaiting += logTruncatedPages;
    this.#look();
    if (tail !== null) return;
    this.last = base;
    this.total = total;
  }

  /** The batch that a zxid lies in or behind: first, last, total. */
  holding(zxid: number): { readonly last: number; readonly total: number } | null {
    const row = this.#holding.get(zxid);
    return row === undefined ? null : { last: Number(row[1]), total: Number(row[2]) };
  }

  /**
   * The batches behind `zxid`, about a megabyte of them and at least one; none at the end. The first
   * may begin before `zxid`.
   */
  batchesAfter(zxid: number): LogBatch[] {
    const holding = this.#holding.get(zxid);
    const from = holding !== undefined && Number(holding[1]) > zxid ? Number(holding[0]) : zxid + 1;
    let to = 0;
    let bytes = 0;
    for (const row of this.#lengths.all(from)) {
      bytes += Number(row[1]);
      if (to !== 0 && bytes > readBytesStep) break;
      to = Number(row[0]);
    }
    if (to === 0) return [];
    return this.#range.all(from, to).map((row) => this.#checked(row));
  }

  /** About so many bytes: a batch that begins at or before the zxid is not counted. */
  bytesBehind(zxid: number): number {
    return Number(this.#bytesBehind.get(zxid)?.[0] ?? 0);
  }

  #checked(row: SqliteValue[]): LogBatch {
    const [first, last, txns, total, crc] = row.slice(0, 5).map(Number) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const bytes = row[5];
    if (!(bytes instanceof Uint8Array)) throw this.#damaged(first, "the row holds no bytes");
    const sum = crc32(bytes);
    if (sum !== crc) {
      throw this.#damaged(first, `the checksum is ${sum.toString(16)}, ${crc.toString(16)} was written`);
    }
    let zxid = first - 1;
    let count = 0;
    for (let at = 0; at < bytes.length; count++) {
      const end = txnEndAt(bytes, at);
      if (end < 0) throw this.#damaged(first, `the txn at byte ${at} is cut short`);
      const next = txnZxidAt(bytes, at);
      if (next <= zxid || (count === 0 && next !== first)) {
        throw this.#damaged(first, `found zxid 0x${next.toString(16)} behind 0x${zxid.toString(16)}`);
      }
      zxid = next;
      at = end;
    }
    if (count !== txns || zxid !== last) {
      throw this.#damaged(first, `found ${count} txns, ${txns} were written`);
    }
    return { first, last, txns, total, bytes };
  }

  #damaged(first: number, found: string): Error {
    return storageError("damaged", `read the batch at zxid 0x${first.toString(16)} of ${this.path}`, found);
  }

  /**
   * Deletes old batches, up to about a megabyte a call: those behind `zxidTree` that hold neither one
   * of the last `retainTxns` txns nor, where `timeMsMin` is not 0, one younger than that. True: there
   * may be more. The pages are used again by later batches, so the file does not grow for ever.
   */
  purgeStep(zxidTree: number, retainTxns: number, timeMsMin: number): boolean {
    let upTo = 0;
    let bytes = 0;
    let seen = 0;
    const rows = this.#oldest.all();
    for (const row of rows) {
      const [first, last, total, timeMs, length] = row.map(Number) as [
        number,
        number,
        number,
        number,
        number,
      ];
      // The last batch always stays: it says how far the log has come.
      const wanted = last > zxidTree || last === this.last ||
        (this.total - total < retainTxns && (timeMsMin === 0 || timeMs >= timeMsMin));
      if (wanted) break;
      upTo = first;
      bytes += length;
      seen++;
      if (bytes >= purgeBytesStep) break;
    }
    if (upTo === 0) return false;
    this.#purge.run(upTo);
    this.pagesWaiting += 1 + (bytes >> 18);
    this.#lookFirst();
    return seen === rows.length || bytes >= purgeBytesStep;
  }

  /** Moves what is in the WAL to the file. The connection is alone, so it is always complete. */
  checkpoint(): void {
    this.#checkpoint.get();
    this.pagesWaiting = 0;
  }

  close(): void {
    this.#database.close();
  }
}
