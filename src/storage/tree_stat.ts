/**
 * A znode's row without its data: as columns, as bytes, and in its checksum.
 */
import { bytesOf } from "../core/base/bytes.ts";
import { Writer } from "../core/wire/writer.ts";
import type { SqliteValue } from "../runtime/ports.ts";
import { znodeCrc } from "./checksums.ts";

/** A znode without its data. 64-bit owners are two halves. */
export interface ZnodeStat {
  czxid: number;
  mzxid: number;
  pzxid: number;
  ctime: number;
  mtime: number;
  version: number;
  cversion: number;
  aversion: number;
  ownerHi: number;
  ownerLo: number;
  acl: number;
  /** Checksum of the data, where the data itself is not at hand; null where none is known. */
  dataCrc?: number | null;
}

/** Columns of `statColumns` from `at` on. */
export function statOf(row: SqliteValue[], at: number): ZnodeStat {
  return {
    czxid: row[at] as number,
    mzxid: row[at + 1] as number,
    pzxid: row[at + 2] as number,
    ctime: row[at + 3] as number,
    mtime: row[at + 4] as number,
    version: row[at + 5] as number,
    cversion: row[at + 6] as number,
    aversion: row[at + 7] as number,
    ownerHi: (row[at + 8] as number) | 0,
    ownerLo: (row[at + 9] as number) | 0,
    acl: row[at + 10] as number,
  };
}

/** The nine numbers of a row. */
export function putStat(out: Writer, s: ZnodeStat): void {
  out.i64FromNumber(s.czxid);
  out.i64FromNumber(s.mzxid);
  out.i64FromNumber(s.ctime);
  out.i64FromNumber(s.mtime);
  out.i32(s.version);
  out.i32(s.cversion);
  out.i32(s.aversion);
  out.i64Halves(s.ownerHi, s.ownerLo);
  out.i64FromNumber(s.pzxid);
}

/** The path with its length; nearly all are ASCII and are copied without an encoder. */
export function putPath(out: Writer, path: string, bytesMore: number): void {
  const start = out.length;
  const at = out.room(4 + path.length);
  const to = out.bytes;
  let code = 0;
  for (let i = 0; i < path.length; i++) {
    code = path.charCodeAt(i);
    if (code >= 0x80) break;
    to[at + 4 + i] = code;
  }
  if (code < 0x80) {
    out.i32At(at, path.length);
  } else {
    out.length = start;
    out.buffer(bytesOf(path));
  }
  // Grown once for the row, not once for each field.
  const end = out.length;
  out.room(bytesMore);
  out.length = end;
}

const scratch = new Writer(256);

/** The checksum of a row whose data has the checksum `data`; of the checksum itself it makes that of the data. */
export function rowCrc(path: string, s: ZnodeStat, data: number): number {
  scratch.clear();
  putPath(scratch, path, 0);
  const pathEnd = scratch.length;
  putStat(scratch, s);
  return znodeCrc(scratch.bytes, 4, pathEnd, pathEnd, scratch.length, s.acl, data);
}
