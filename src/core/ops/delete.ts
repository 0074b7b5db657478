/**
 * Delete, by a client or by the leader's own reaper of containers and TTL znodes.
 * server-semantics 3.6, 3.11.
 */
import { pathHasNul, pathIsReserved, slashLast } from "../tree/path.ts";
import { OwnerKind, ownerKind } from "../tree/stat.ts";
import { ErrorCode } from "../wire/errors.ts";
import { Perm } from "../wire/opcodes.ts";
import type { Judge } from "./judge.ts";

export function prepareDelete(judge: Judge): number {
  const r = judge.reader;
  const length = r.span();
  const end = r.at;
  const version = r.i32();
  if (r.failed || length < 0) return ErrorCode.MarshallingError;
  const start = end - length;
  const bytes = r.bytes;
  const lastSlash = slashLast(bytes, start, end);
  if (lastSlash < 0 || pathHasNul(bytes, start, end) || pathIsReserved(bytes, start, end)) {
    return ErrorCode.BadArguments;
  }
  const { tree, overlay } = judge;
  const parentRow = tree.find(bytes, start, lastSlash);
  if (parentRow === 0) return ErrorCode.NoNode;
  const parent = overlay.look(parentRow, judge.parentLook);
  if (!parent.exists) return ErrorCode.NoNode;
  if (!judge.allows(parent.acl, Perm.Delete)) return ErrorCode.NoAuth;
  // "//x" has "/" before its last slash, but is no name of /x: it would be deleted here and not where
  // the txn is applied.
  const isOdd = lastSlash + 1 === end || lastSlash === start + 1;
  const row = isOdd ? 0 : tree.child(parentRow, bytes, lastSlash + 1, end);
  if (row === 0) return ErrorCode.NoNode;
  const node = overlay.look(row, judge.nodeLook);
  if (!node.exists) return ErrorCode.NoNode;
  if (version !== -1 && version !== node.version) return ErrorCode.BadVersion;
  if (node.children > 0) return ErrorCode.NotEmpty;
  judge.txn.i32(length);
  judge.txn.rawRange(bytes, start, end);
  if (!judge.fits()) return ErrorCode.MarshallingError;
  judge.quotas.propose(bytes, start, end, -1, -Math.max(0, node.dataLength));
  proposeRemoval(judge, row, parentRow);
  return ErrorCode.Ok;
}

/** Body: the path. Only the peer itself asks, and only for what really is a container or has a TTL. */
export function prepareDeleteContainer(judge: Judge): number {
  const r = judge.reader;
  const length = r.span();
  const end = r.at;
  if (r.failed || length < 0) return ErrorCode.MarshallingError;
  const start = end - length;
  const { tree, overlay } = judge;
  const row = tree.find(r.bytes, start, end);
  if (row === 0) return ErrorCode.NoNode;
  const node = overlay.look(row, judge.nodeLook);
  if (!node.exists) return ErrorCode.NoNode;
  if (node.children > 0) return ErrorCode.NotEmpty;
  const kind = ownerKind(node.ownerHi, node.ownerLo);
  if (kind !== OwnerKind.Container && kind !== OwnerKind.Ttl) return ErrorCode.BadVersion;
  judge.txn.i32(length);
  judge.txn.rawRange(r.bytes, start, end);
  judge.quotas.propose(r.bytes, start, end, -1, -Math.max(0, node.dataLength));
  proposeRemoval(judge, row, tree.find(r.bytes, start, slashLast(r.bytes, start, end)));
  return ErrorCode.Ok;
}

/** Writes a removal into the overlay. */
export function proposeRemoval(judge: Judge, row: number, parentRow: number): void {
  const { overlay, zxid } = judge;
  const parent = overlay.edit(parentRow, zxid);
  parent.children--;
  if (zxid > parent.pzxid) parent.pzxid = zxid;
  overlay.sign(parent);
  const node = overlay.edit(row, zxid);
  node.exists = false;
  overlay.sign(node);
}
