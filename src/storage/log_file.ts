/**
 * The log: `log.db`, keyed by zxid, one row a batch.
 *
 * Held open under an exclusive lock, which is what keeps a second process out of the directory. In
 * WAL mode with synchronous=FULL an insert has returned only when its bytes were fsynced; SQLite
 * also syncs the directory when it first syncs a new WAL. What is read back is checked: the CRC of
 * the row, and that its txns are whole and in order.
 */
import { crc32 } from "../runtime/shared/crc32.ts";
import type { SqliteDatabase, SqliteStatement, SqliteValue } from "../runtime/ports.ts";
import { txnEndAt, txnTimeAt, txnZxidAt } from "./batch_bytes.ts";
import type { DatabaseKind } from "./database_files.ts";
import { storageError } from "./errors.ts";
import { logApplicationId, logSchema, logSql, metaSql, pageBytes } from "./schema.ts";
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
    schema: logSchema,
    // Set before the first read: then no shared memory is used, and the lock is taken by that read.
    settingsFirst: "pragma locking_mode = exclusive; pragma cache_size = -1024",
    settings: `pragma journal_mode = wal; pragma synchronous = ${sync === "full" ? "full" : "off"};
      pragma wal_autocheckpoint = 0`,
  };
}

/** Bytes after which a purge step stops. */
const purgeBytesStep = 1 << 20;
const readBytesStep = 1 << 20;

export class LogFile {
  readonly path: string;
  readonly #database: SqliteDatabase;
  readonly #insert: SqliteStatement;
  readonly #holding: SqliteStatement;
  readonly #lengths: SqliteStatement;
  readonly #range: SqliteStatement;
  readonly #oldest: SqliteStatement;
  readonly #purge: SqliteStatement;
  readonly #checkpoint: SqliteStatement;

  /** Zxid of the last txn in the log; 0 where there is none. */
  last = 0;
  /** Zxid of the first txn that is still there; 0 where there is none. */
  first = 0;
  total = 0;
  /** About how many pages wait in the WAL for a checkpoint. */
  pagesWaiting = 0;

  constructor(database: SqliteDatabase, path: string) {
    this.path = path;
    this.#database = database;
    this.#insert = database.prepare(logSql.insert);
    this.#holding = database.prepare(logSql.holding);
    this.#lengths = database.prepare(logSql.lengths);
    this.#range = database.prepare(logSql.range);
    this.#oldest = database.prepare(logSql.oldest);
    this.#purge = database.prepare(logSql.purge);
    this.#checkpoint = database.prepare("pragma wal_checkpoint(passive)");
    const last = database.prepare(logSql.lastRow).get();
    if (last !== undefined) {
      this.last = Number(last[1]);
      this.total = Number(last[3]);
      this.first = Number(database.prepare(logSql.firstRow).get()?.[0]);
    }
  }

  meta(name: string): SqliteValue | undefined {
    return this.#database.prepare(metaSql.get).get(name)?.[0];
  }

  /** Does it still hold the first txn that was ever appended? */
  startsAtBirth(): boolean {
    const row = this.#database.prepare(logSql.firstRow).get();
    return row === undefined || row[2] === row[3];
  }

  /** One transaction. When this returns the batch is durable; when it throws, nothing of it is. */
  append(bytes: Uint8Array, first: number, last: number, txns: number): void {
    this.#insert.run(first, last, txns, this.total + txns, txnTimeAt(bytes, 0), crc32(bytes), bytes);
    this.total += txns;
    this.last = last;
    if (this.first === 0) this.first = first;
    this.pagesWaiting += Math.ceil(bytes.length / pageBytes) + 1;
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
    const statement = this.#database.prepare(logSql.bytesBehind);
    const bytes = Number(statement.get(zxid)?.[0] ?? 0);
    statement.finalize();
    return bytes;
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
    this.first = Number(this.#oldest.get()?.[0] ?? 0);
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
