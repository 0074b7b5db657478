/**
 * Changes to a znode that is there: setData, setACL, and check, which changes nothing.
 * server-semantics 3.7, 3.8, 3.9.
 */
import { bytesEqualAt } from "../base/bytes.ts";
import { aclOpenBytes, encodeAcls } from "../tree/acl.ts";
import type { Pending } from "../tree/overlay.ts";
import { pathIsValid } from "../tree/path.ts";
import { ErrorCode } from "../wire/errors.ts";
import { Perm } from "../wire/opcodes.ts";
import { type AclLoose, readAcls } from "../wire/records.ts";
import { type Judge, versionNext } from "./judge.ts";

/** The znode at a path as it will be, or null. A path that names one is valid, but for the empty one. */
function lookUp(judge: Judge, bytes: Uint8Array, start: number, end: number): Pending | null {
  if (start === end) return null;
  const row = judge.tree.find(bytes, start, end);
  if (row === 0) return null;
  const node = judge.overlay.look(row, judge.nodeLook);
  return node.exists ? node : null;
}

function missing(bytes: Uint8Array, start: number, end: number): number {
  return pathIsValid(bytes, start, end) ? ErrorCode.NoNode : ErrorCode.BadArguments;
}

export function prepareSetData(judge: Judge): number {
  const r = judge.reader;
  const pathLength = r.span();
  const pathEnd = r.at;
  const dataLength = r.span();
  const dataEnd = r.at;
  const version = r.i32();
  if (r.failed) return ErrorCode.MarshallingError;
  if (pathLength < 0) return ErrorCode.BadArguments;
  const pathStart = pathEnd - pathLength;
  const node = lookUp(judge, r.bytes, pathStart, pathEnd);
  if (node === null) return missing(r.bytes, pathStart, pathEnd);
  if (!judge.allows(node.acl, Perm.Write)) return ErrorCode.NoAuth;
  const difference = Math.max(0, dataLength) - Math.max(0, node.dataLength);
  if (!judge.quotas.admits(r.bytes, pathStart, pathEnd, 0, difference)) return ErrorCode.QuotaExceeded;
  if (version !== -1 && version !== node.version) return ErrorCode.BadVersion;
  const next = versionNext(node.version);
  const { txn, overlay } = judge;
  txn.i32(pathLength);
  txn.rawRange(r.bytes, pathStart, pathEnd);
  const dataStart = dataLength < 0 ? -1 : dataEnd - dataLength;
  txn.i32(dataLength);
  if (dataLength > 0) txn.rawRange(r.bytes, dataStart, dataEnd);
  txn.i32(next);
  if (!judge.fits()) return ErrorCode.MarshallingError;
  const edit = overlay.edit(node.row, judge.zxid);
  edit.version = next;
  edit.mzxid = judge.zxid;
  edit.mtime = judge.timeMs;
  overlay.setData(edit, r.bytes, dataStart, dataEnd);
  overlay.sign(edit);
  judge.quotas.propose(r.bytes, pathStart, pathEnd, 0, difference);
  return ErrorCode.Ok;
}

export function prepareSetAcl(judge: Judge): number {
  const r = judge.reader;
  const pathLength = r.span();
  const pathEnd = r.at;
  const open = bytesEqualAt(r.bytes, r.at, aclOpenBytes) && r.at + aclOpenBytes.length <= r.end;
  let acls: AclLoose[] | null = null;
  if (open) r.at += aclOpenBytes.length;
  else acls = readAcls(r);
  const version = r.i32();
  if (r.failed) return ErrorCode.MarshallingError;
  if (pathLength < 0) return ErrorCode.BadArguments;
  const pathStart = pathEnd - pathLength;
  if (!pathIsValid(r.bytes, pathStart, pathEnd)) return ErrorCode.BadArguments;
  const normal = open ? null : judge.normalAcls(acls);
  if (!open && normal === null) return ErrorCode.InvalidAcl;
  const node = lookUp(judge, r.bytes, pathStart, pathEnd);
  if (node === null) return ErrorCode.NoNode;
  if (!judge.allows(node.acl, Perm.Admin)) return ErrorCode.NoAuth;
  if (version !== -1 && version !== node.aversion) return ErrorCode.BadVersion;
  const next = versionNext(node.aversion);
  const { txn, overlay, tree } = judge;
  txn.i32(pathLength);
  txn.rawRange(r.bytes, pathStart, pathEnd);
  const aclsAt = txn.length;
  txn.raw(normal === null ? aclOpenBytes : encodeAcls(normal));
  const aclsEnd = txn.length;
  txn.i32(next);
  if (!judge.fits()) return ErrorCode.MarshallingError;
  const acl = tree.acls.use(txn.bytes, aclsAt, aclsEnd);
  const edit = overlay.edit(node.row, judge.zxid);
  // What is pipelined behind is judged by the new list; the original still used the old one.
  overlay.setAcl(edit, acl);
  edit.aversion = next;
  overlay.sign(edit);
  return ErrorCode.Ok;
}

export function prepareCheck(judge: Judge): number {
  const r = judge.reader;
  const pathLength = r.span();
  const pathEnd = r.at;
  const version = r.i32();
  if (r.failed) return ErrorCode.MarshallingError;
  if (pathLength < 0) return ErrorCode.BadArguments;
  const pathStart = pathEnd - pathLength;
  const node = lookUp(judge, r.bytes, pathStart, pathEnd);
  if (node === null) return missing(r.bytes, pathStart, pathEnd);
  if (!judge.allows(node.acl, Perm.Read)) return ErrorCode.NoAuth;
  if (version !== -1 && version !== node.version) return ErrorCode.BadVersion;
  judge.txn.i32(pathLength);
  judge.txn.rawRange(r.bytes, pathStart, pathEnd);
  judge.txn.i32(versionNext(node.version));
  return judge.fits() ? ErrorCode.Ok : ErrorCode.MarshallingError;
}
