/**
 * The log: `log.db`, keyed by zxid, one row a batch; and in `meta` what has to change together with it.
 *
 * Held open under an exclusive lock, which is what keeps a second process out of the directory. In
 * WAL mode with synchronous=FULL an insert has returned only when its bytes were fsynced; SQLite
 * also syncs the directory when it first syncs a new WAL. What is read back is checked: the CRC of
 * the row, that its txns are whole and in order, and that the row before it is the one that it names.
 * `log.mark` says where the rows end (log_mark.ts).
 *
 * Rows follow one another without a gap: each one's `total` less its `txns` is the `total` before it.
 * `base` is the zxid that the first row lies right behind, where that is known.
 */
import type { SqliteDatabase, SqliteStatement, SqliteValue } from "../runtime/ports.ts";
import { epochOf } from "../core/base/zxid.ts";
import type { Zxid } from "../core/base/zxid.ts";
import type { LogTail } from "../core/zab/disk.ts";
import { txnEndAt, txnTimeAt, txnZxidAt } from "./batch_bytes.ts";
import { batchCrc, checkMeta, checkPages, putMetaRow } from "./checksums.ts";
import type { DatabaseKind } from "./database_files.ts";
import { rot } from "./errors.ts";
import type { LogEnd, LogMark } from "./log_mark.ts";
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
  readonly timeMs: number;
  readonly committed: number;
  readonly crc: number;
  /** Null in a row of an older release. */
  readonly before: number | null;
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
/** In `meta` of the log: why what is here is not all that this member has acknowledged. */
export const metaLacks = "lacks";

export class LogFile {
  readonly path: string;
  readonly #database: SqliteDatabase;
  readonly #mark: LogMark | null;
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
  /** Zxid and checksum of the last row; 0 where there is none. */
  #rowsLast = 0;
  #crc = 0;
  /** About how many pages wait in the WAL for a checkpoint. */
  pagesWaiting = 0;
  /** Null: nobody has promised anything yet. */
  epochs: Epochs | null;
  /** Snapshots that have replaced table and log so far. */
  generation: number;
  /** Without an ensemble nobody writes epochs, and the log goes on: then they follow its zxids. */
  standsAlone = false;

  constructor(database: SqliteDatabase, path: string, mark: LogMark | null = null) {
    this.path = path;
    this.#database = database;
    this.#mark = mark;
    checkMeta(database, path, "log");
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
    if (mark !== null) mark.logId = String(this.meta("log_id"));
    this.#look();
  }

  /** Reads where the rows begin and end. */
  #look(): void {
    const first = this.#lastRow.get()?.[0];
    const last = first === undefined ? undefined : this.#read(Number(first), Number(first))[0];
    this.last = last?.last ?? this.#metaNumber("base") ?? 0;
    this.total = last?.total ?? this.#metaNumber("base_total") ?? 0;
    this.committed = last?.committed ?? 0;
    this.#rowsLast = last?.last ?? 0;
    this.#crc = last?.crc ?? 0;
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
    putMetaRow(this.#metaPut, name, value);
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

  /** Where it ends, as `log.mark` has it. */
  get end(): LogEnd {
    const { accepted, current } = this.epochs ?? { accepted: -1, current: -1 };
    return {
      generation: this.generation,
      last: this.last,
      total: this.total,
      crc: this.#crc,
      accepted,
      current,
    };
  }

  /** What changed is durable. */
  putMark(): void {
    this.#mark?.put(this.end);
  }

  syncMark(): void {
    this.#mark?.sync();
  }

  /** The next start looks at everything. */
  suspect(): void {
    if (this.#mark !== null) this.#mark.suspect = true;
    this.putMark();
    this.#mark?.sync();
  }

  /** Returns its checksum. */
  #put(
    bytes: Uint8Array,
    first: number,
    last: number,
    txns: number,
    total: number,
    committed: number,
    before: number,
  ): number {
    const timeMs = txnTimeAt(bytes, 0);
    const crc = batchCrc(bytes, first, last, txns, total, timeMs, committed, before);
    this.#insert.run(first, last, txns, total, timeMs, crc, bytes, committed, before);
    return crc;
  }

  /** One transaction. When this returns the batch is durable; when it throws, nothing of it is. */
  append(bytes: Uint8Array, first: number, last: number, txns: number, committed: number): void {
    const total = this.total + txns;
    let crc = 0;
    const insert = () => {
      crc = this.#put(bytes, first, last, txns, total, committed, this.#crc);
    };
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
    this.#rowsLast = last;
    this.#crc = crc;
    if (this.first === 0) this.first = first;
    this.pagesWaiting += Math.ceil(bytes.length / pageBytes) + 1;
    this.putMark();
  }

  putEpochs(epochs: Epochs): void {
    this.#transaction(() => {
      this.#insertEpochs(epochs);
      // A leader that others elected has given us all that it has: nothing is missing any more.
      if (epochs.current > 0) this.dropMeta(metaLacks);
    });
    this.putMark();
  }

  /** From here on this log has less than was acknowledged, until the epoch of a leader is followed. */
  putLacks(reason: string, accepted: number): void {
    this.#transaction(() => {
      this.putMeta(metaLacks, reason);
      this.#insertEpochs({ accepted, current: 0 });
    });
    this.putMark();
    this.#mark?.sync();
  }

  /** Throws where a page is not what the others say of it. */
  checkPages(): void {
    checkPages(this.#database, this.path, "log");
  }

  #insertEpochs(epochs: Epochs): void {
    this.putMeta("epoch_accepted", epochs.accepted);
    this.putMeta("epoch_current", epochs.current);
    this.epochs = epochs;
  }

  /** Every txn behind `after` goes; of a batch that reaches over it the first part stays. */
  truncate(after: number): void {
    const statement = this.#database.prepare(logSql.deleteBehind);
    // Were this cut durable before the mark knew of it, the next start would miss what is cut.
    this.#mark?.put({ ...this.end, last: 0, total: 0, crc: 0 });
    this.#mark?.sync();
    this.#transaction(() => {
      const holding = this.#holding.get(after);
      if (holding !== undefined && Number(holding[1]) > after) this.#cut(Number(holding[0]), after);
      statement.run(after);
    });
    statement.finalize();
    this.pagesWaiting += logTruncatedPages;
    this.#look();
    this.putMark();
  }

  #cut(first: number, after: number): void {
    const [batch] = this.#read(first, first);
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
    const committed = Math.min(batch.committed, after);
    const crc = batchCrc(bytes, first, last, txns, total, batch.timeMs, committed, batch.before);
    statement.run(last, txns, total, crc, bytes, committed, batch.before, first);
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
        this.#put(bytes, first, last, txns, total + txns, committed, 0);
      }
      if (generation === this.generation) return;
      this.putMeta("generation", generation);
      this.putMeta(metaTreeNext, 1);
    });
    this.generation = generation;
    this.pagesWaiting += logTruncatedPages;
    this.#look();
    this.putMark();
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
    // Also one that ends before: the next names it, so that none between them is passed over.
    const from = holding === undefined ? zxid + 1 : Number(holding[0]);
    let to = 0;
    let bytes = 0;
    for (const row of this.#lengths.all(from)) {
      const isBehind = Number(row[0]) > zxid;
      if (isBehind) bytes += Number(row[1]);
      if (to > zxid && bytes > readBytesStep) break;
      to = Number(row[0]);
    }
    const batches = to === 0 ? [] : this.#read(from, to);
    const end = batches.at(-1)?.last ?? 0;
    if (end <= zxid && zxid < this.#rowsLast) {
      throw this.#damaged(
        zxid + 1,
        `it is not there, and the last one ends at 0x${this.#rowsLast.toString(16)}`,
      );
    }
    return (batches[0]?.last ?? Infinity) > zxid ? batches : batches.slice(1);
  }

  /** The rows from one to another, in which none is missing. */
  #read(from: number, to: number): LogBatch[] {
    const batches = this.#range.all(from, to).map((row) => this.#checked(row));
    batches.forEach((batch, i) => {
      const { crc, total } = batches[i - 1] ?? {};
      if (crc === undefined) return;
      if (total !== batch.total - batch.txns || (batch.before !== null && batch.before !== crc)) {
        throw this.#damaged(batch.first, "it does not follow the one before it");
      }
    });
    return batches;
  }

  /** About so many bytes: a batch that begins at or before the zxid is not counted. */
  bytesBehind(zxid: number): number {
    return Number(this.#bytesBehind.get(zxid)?.[0] ?? 0);
  }

  #checked(row: SqliteValue[]): LogBatch {
    const [first, last, txns, total, timeMs, committed, crc] = row.slice(0, 7).map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const before = row[7] === null ? null : Number(row[7]);
    const bytes = row[8];
    if (!(bytes instanceof Uint8Array)) throw this.#damaged(first, "the row holds no bytes");
    const sum = batchCrc(bytes, first, last, txns, total, timeMs, committed, before);
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
    return { first, last, txns, total, bytes, timeMs, committed, crc, before };
  }

  #damaged(first: number, found: string): Error {
    return rot("log", `read the batch at zxid 0x${first.toString(16)} of ${this.path}`, found);
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
      const wanted = Math.max(first, last) > zxidTree || last === this.last ||
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

  /**
   * All rows that end at or before the zxid go, but for the last of all. False: what is behind it can't be
   * read either, or nothing went.
   */
  dropUpTo(zxid: number): boolean {
    const holding = this.#holding.get(zxid);
    if (holding === undefined) return false;
    const [first, last] = [Number(holding[0]), Number(holding[1])];
    const rows = this.#purge.run(last > zxid || last === this.#rowsLast ? first - 1 : first);
    this.batchesAfter(zxid);
    this.#lookFirst();
    return rows > 0;
  }

  /** Moves what is in the WAL to the file. The connection is alone, so it is always complete. */
  checkpoint(): void {
    this.#checkpoint.get();
    this.pagesWaiting = 0;
  }

  close(): void {
    this.#mark?.close();
    this.#database.close();
  }
}
