/**
 * Log reader: a piece of the log for a learner that was away.
 *
 * One piece is about a megabyte, so that an append that comes meanwhile waits for a millisecond or
 * two. Nothing is remembered between pieces: whoever reads on asks for what is behind the last one.
 */
import type { Zxid } from "../core/base/zxid.ts";
import type { LogChunk } from "../core/zab/disk.ts";
import { txnEndAt, txnZxidAt } from "./batch_bytes.ts";
import type { LogBatch, LogFile } from "./log_file.ts";

export type LogPiece = LogChunk & { readonly bytes: Uint8Array<ArrayBuffer> };

interface Place {
  readonly found: LogChunk["found"];
  readonly previous: number;
  /** Txns ever appended, up to the txn at or before the place. */
  readonly total: number;
}

/** What a log answers that does not reach back so far, or holds nothing. */
export function pieceMissing(after: Zxid): LogPiece {
  return {
    found: "missing",
    previous: 0 as Zxid,
    bytes: new Uint8Array(0),
    last: after,
    bytesBehind: 0,
  };
}

export function readPiece(log: LogFile, after: Zxid, upTo: Zxid): LogPiece {
  const batches = log.batchesAfter(after);
  const place = placeOf(log, batches, after);
  if (place === null) return pieceMissing(after);
  const parts: Uint8Array[] = [];
  let length = 0;
  let bytesRead = 0;
  let last: number = after;
  for (const batch of batches) {
    const [start, end] = [offsetBehind(batch, after), offsetBehind(batch, upTo)];
    bytesRead += batch.bytes.length - start;
    if (end <= start) continue;
    parts.push(batch.bytes.subarray(start, end));
    length += end - start;
    last = batch.last <= upTo ? batch.last : lastBefore(batch, end);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return {
    found: place.found,
    previous: place.previous as Zxid,
    bytes,
    last: last as Zxid,
    bytesBehind: bytesBehind(log, batches, place.total, bytesRead),
  };
}

/** Null where the log does not reach back to `after`, or has never come so far. */
function placeOf(log: LogFile, batches: readonly LogBatch[], after: number): Place | null {
  const holding = log.holding(after);
  if (holding === null) {
    // Right behind the base there is nothing yet, or the first row.
    return log.base === after ? { found: "exact", previous: after, total: totalBefore(log, batches) } : null;
  }
  if (holding.last === after) return { found: "exact", previous: after, total: holding.total };
  const [next] = batches;
  if (next === undefined) return null;
  if (holding.last < after) return { found: "between", previous: holding.last, total: holding.total };
  const end = offsetBehind(next, after);
  const previous = lastBefore(next, end);
  return { found: previous === after ? "exact" : "between", previous, total: totalBefore(log, batches) };
}

function totalBefore(log: LogFile, batches: readonly LogBatch[]): number {
  const [next] = batches;
  return next === undefined ? log.total : next.total - next.txns;
}

/** Counted where all was read; else what was read, by as many txns as there are. */
function bytesBehind(
  log: LogFile,
  batches: readonly LogBatch[],
  totalAtPlace: number,
  bytesRead: number,
): number {
  const end = batches.at(-1);
  if (end === undefined || end.total >= log.total) return bytesRead;
  return Math.round(bytesRead / Math.max(1, end.total - totalAtPlace) * (log.total - totalAtPlace));
}

/** Offset of the first txn behind `zxid`, or the end. */
function offsetBehind(batch: LogBatch, zxid: number): number {
  if (batch.first > zxid) return 0;
  if (batch.last <= zxid) return batch.bytes.length;
  let at = 0;
  while (at < batch.bytes.length && txnZxidAt(batch.bytes, at) <= zxid) at = txnEndAt(batch.bytes, at);
  return at;
}

/** Zxid of the txn that ends at `end`, which is not the beginning. */
function lastBefore(batch: LogBatch, end: number): number {
  let zxid = batch.first;
  for (let at = 0; at < end; at = txnEndAt(batch.bytes, at)) zxid = txnZxidAt(batch.bytes, at);
  return zxid;
}
