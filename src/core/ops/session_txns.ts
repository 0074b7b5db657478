/**
 * createSession and closeSession as txns. server-semantics 3.12, 3.13.
 */
import { bytesOf } from "../base/bytes.ts";
import { OwnerKind, ownerKind } from "../tree/stat.ts";
import { I } from "../tree/tree.ts";
import { ErrorCode } from "../wire/errors.ts";
import type { Session } from "../session/table.ts";
import { proposeRemoval } from "./delete.ts";
import type { Judge } from "./judge.ts";

export function prepareCreateSession(judge: Judge, timeoutMs: number): number {
  judge.txn.i32(timeoutMs);
  return ErrorCode.Ok;
}

/**
 * Lists the ephemerals of the session, those that are only proposed too, and removes them. Those for
 * which the txn has no room are not listed: whoever applies it, the original too, removes all that the
 * session owns.
 */
export function prepareCloseSession(judge: Judge, session: Session): number {
  const { tree, overlay, txn } = judge;
  const rows: number[] = [];
  for (const row of tree.ephemeralRows(session.id)) {
    const pending = overlay.pendingOf(row);
    if (pending === null || (pending.exists && isOwner(pending, session))) rows.push(row);
  }
  // Few sessions end with a create still in flight, but ten thousand may end in one tick: only those
  // few look at all that is pending.
  if (session.zxidEphemeral > judge.zxidApplied) {
    for (const pending of overlay.all()) {
      if (!pending.exists || !isOwner(pending, session)) continue;
      if (!tree.isLive(pending.row) || !tree.isOwnedBy(pending.row, session.id)) rows.push(pending.row);
    }
  }
  session.closing = true;
  const listed = judge.options.closeSessionTxn;
  const countAt = listed ? txn.room(4) : txn.length;
  let count = 0;
  for (const row of rows) {
    const path = bytesOf(tree.pathOf(row));
    if (listed && judge.fits(4 + path.length)) {
      txn.buffer(path);
      count++;
    }
    judge.quotas.propose(
      path,
      0,
      path.length,
      -1,
      -Math.max(0, overlay.look(row, judge.nodeLook).dataLength),
    );
    proposeRemoval(judge, row, tree.int(row, I.parent));
  }
  if (listed) txn.i32At(countAt, count);
  return ErrorCode.Ok;
}

function isOwner(pending: { ownerHi: number; ownerLo: number }, session: Session): boolean {
  return pending.ownerHi === session.hi && pending.ownerLo === session.lo &&
    ownerKind(pending.ownerHi, pending.ownerLo) === OwnerKind.Session;
}
