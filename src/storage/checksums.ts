/**
 * Checksums of what the two files hold: each row says by itself whether it is as it was written.
 *
 * SQLite has none for a page in a database file, so a flipped bit in a value is handed out as if it
 * had been stored. That rows are missing is for others to notice: the log's name the row before them
 * and `log.mark` their end; the table counts its rows and has the tree's digest.
 */
import { crc32 } from "../runtime/shared/crc32.ts";
import type { SqliteDatabase, SqliteStatement, SqliteValue } from "../runtime/ports.ts";
import { bytesOf } from "../core/base/bytes.ts";
import { crcEnd, crcStart, crcUpdate } from "../core/base/crc32.ts";
import { rot } from "./errors.ts";
import { metaSql } from "./schema.ts";

const head = new Float64Array(7);
const headBytes = new Uint8Array(head.buffer);

/** Of a row of the log. `before` null: as older releases made it, over the bytes alone. */
export function batchCrc(
  bytes: Uint8Array,
  first: number,
  last: number,
  txns: number,
  total: number,
  timeMs: number,
  committed: number,
  before: number | null,
): number {
  if (before === null) return crc32(bytes);
  head[0] = first;
  head[1] = last;
  head[2] = txns;
  head[3] = total;
  head[4] = timeMs;
  head[5] = committed;
  head[6] = before;
  return crc32(bytes, crc32(headBytes));
}

/**
 * Of a row of the table: path and stat, the ACL's number, and data that may not be at hand, so that it can
 * be taken out of one checksum and put into the next. `bytes` has path and stat as RecoverySink.rows has them.
 */
export function znodeCrc(
  bytes: Uint8Array,
  pathStart: number,
  pathEnd: number,
  statStart: number,
  statEnd: number,
  acl: number,
  data: number,
): number {
  const state = crcUpdate(crcUpdate(crcStart, bytes, pathStart, pathEnd), bytes, statStart, statEnd);
  return (crcEnd(state) ^ Math.imul(acl, 0x9e3779b1) ^ data) >>> 0;
}

/** Stands for null data. */
const noData = 0x6e756c6c;

export function dataCrc(data: Uint8Array | null): number {
  return data === null ? noData : crc32(data);
}

export function aclCrc(id: number, bytes: Uint8Array): number {
  return (crc32(bytes) ^ Math.imul(id | 0, 0x9e3779b1)) >>> 0;
}

export function sessionCrc(hi: number, lo: number, timeoutMs: number): number {
  return (Math.imul(hi, 0x9e3779b1) ^ Math.imul(lo, 0x85ebca6b) ^ Math.imul(timeoutMs, 0xc2b2ae35)) >>> 0;
}

function metaCrc(name: string, value: SqliteValue): number {
  return crc32(bytesOf(`${name} ${typeof value} ${String(value)}`));
}

export function putMetaRow(put: SqliteStatement, name: string, value: SqliteValue): void {
  put.run(name, value, metaCrc(name, value));
}

/** All rows of a file's `meta`, checked. One without a checksum is of an older release, or an operator's. */
export function checkMeta(database: SqliteDatabase, path: string, file: "log" | "table"): void {
  const all = database.prepare(metaSql.all);
  const put = database.prepare(metaSql.put);
  for (const [name, value, crc] of all.all()) {
    if (typeof name !== "string" || value === undefined) continue;
    if (crc === null) putMetaRow(put, name, value);
    else if (crc !== metaCrc(name, value)) {
      throw rot(
        file,
        `read ${path}`,
        `${name} in its meta table is ${String(value)}, and was written otherwise`,
      );
    }
  }
  all.finalize();
  put.finalize();
}

/** Is each page what the others say of it? Reads the whole file. */
export function checkPages(database: SqliteDatabase, path: string, file: "log" | "table"): void {
  const statement = database.prepare("pragma integrity_check(1)");
  let found = String(statement.get()?.[0]);
  if (found !== "ok" && file === "table") {
    // Rows have checksums of their own, so an index that is wrong can be made again from them.
    database.exec("reindex");
    found = String(statement.get()?.[0]);
  }
  statement.finalize();
  if (found !== "ok") throw rot(file, `read ${path}`, found);
}
