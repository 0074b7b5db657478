/**
 * Recovery: all that the disk holds, as messages in the order of `RecoverySink`.
 *
 * A generator, so that the worker makes the next megabyte only when the main thread has taken an
 * earlier one: the two work side by side and neither holds the whole tree twice.
 */
import { txnEndAt, txnZxidAt } from "./batch_bytes.ts";
import { Writer } from "../core/wire/writer.ts";
import type { Disk } from "./disk.ts";
import { rotOf } from "./errors.ts";
import type { LogBatch, LogFile } from "./log_file.ts";
import type { FromWorker } from "./messages.ts";
import { packRows } from "./tree_rows.ts";

const batchBytes = 1 << 20;

/** `heavy` false: a small message that needs no answer. */
export interface RecoveryPart {
  readonly message: FromWorker;
  readonly transfer: ArrayBuffer[];
  readonly heavy: boolean;
}

/** `committed`: what is known of it beside what the disk knows. */
export function* recoveryParts(
  disk: Disk,
  committed: number,
  notes: readonly string[],
): Generator<RecoveryPart, void, void> {
  const { log, tree, epochs, lacks } = disk;
  const zxidCommitted = Math.min(Math.max(log.committed, committed, tree.zxid), log.last);
  let znodes = 0;
  try {
    for (const { bytes, rows } of packRows(tree)) {
      znodes += rows;
      yield { message: { kind: "rows", bytes }, transfer: [bytes.buffer], heavy: true };
    }
    const list = tree.sessions();
    tree.settle(znodes, list.length / 3);
    yield { message: { kind: "sessions", list }, transfer: [list.buffer], heavy: false };
  } catch (error) {
    throw rotOf("table", error, `read ${tree.path}`);
  }
  yield {
    message: { kind: "treeComplete", zxid: tree.zxid, committed: zxidCommitted, digest: tree.digest },
    transfer: [],
    heavy: false,
  };

  const out = new Writer();
  let zxid = tree.zxid;
  let txnsReplayed = 0;
  for (;;) {
    const batches = readAfter(log, zxid);
    for (const batch of batches) {
      txnsReplayed += putBehind(out, batch, tree.zxid);
      zxid = batch.last;
      if (out.length < batchBytes) continue;
      const bytes = out.copy();
      out.clear();
      yield { message: { kind: "batch", bytes }, transfer: [bytes.buffer], heavy: true };
    }
    if (batches.length === 0) break;
  }
  if (out.length > 0) {
    const bytes = out.copy();
    yield { message: { kind: "batch", bytes }, transfer: [bytes.buffer], heavy: true };
  }
  const message = {
    kind: "recovered",
    zxidLast: log.last,
    zxidTree: tree.zxid,
    zxidCommitted,
    epochAccepted: epochs.accepted,
    epochCurrent: epochs.current,
    txnsReplayed,
    znodes,
    notes,
    lacks,
  } as const;
  yield { message, transfer: [], heavy: false };
}

function readAfter(log: LogFile, zxid: number): LogBatch[] {
  try {
    return log.batchesAfter(zxid);
  } catch (error) {
    throw rotOf("log", error, `read ${log.path}`);
  }
}

/** The txns of a batch that are not in the table. Returns how many. */
function putBehind(out: Writer, batch: LogBatch, zxid: number): number {
  let at = 0;
  let skipped = 0;
  while (batch.first <= zxid && at < batch.bytes.length && txnZxidAt(batch.bytes, at) <= zxid) {
    at = txnEndAt(batch.bytes, at);
    skipped++;
  }
  out.rawRange(batch.bytes, at, batch.bytes.length);
  return batch.txns - skipped;
}
