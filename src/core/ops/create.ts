/**
 * Create: from a client's wish to a znode. create, create2, createContainer, createTTL.
 *
 * `prepareCreate` runs on the leader and may refuse, in the order of server-semantics 3.5. What is
 * applied later is the txn alone, so all that depends on the moment is settled here: the sequence
 * suffix, the ACL, the parent's count of creations.
 */
import { bytesEqualAt } from "../base/bytes.ts";
import { crcStart, crcUpdate } from "../base/crc32.ts";
import { ttlMsMax } from "../base/limits.ts";
import { aclOpenBytes, encodeAcls } from "../tree/acl.ts";
import { pathHasNul, pathIsValid, slashLast } from "../tree/path.ts";
import { OwnerKind, ownerKind } from "../tree/stat.ts";
import { ErrorCode } from "../wire/errors.ts";
import { CreateMode, OpCode, Perm } from "../wire/opcodes.ts";
import { type AclLoose, readAcls } from "../wire/records.ts";
import { containerOwnerHi, ttlOwnerMark } from "../wire/txns.ts";
import type { Judge } from "./judge.ts";

export function prepareCreate(judge: Judge, opAsked: number): number {
  const r = judge.reader;
  const pathLength = r.span();
  const pathEnd = r.at;
  const dataLength = r.span();
  const dataEnd = r.at;
  const open = bytesEqualAt(r.bytes, r.at, aclOpenBytes) && r.at + aclOpenBytes.length <= r.end;
  let acls: AclLoose[] | null = null;
  if (open) r.at += aclOpenBytes.length;
  else acls = readAcls(r);
  const flags = r.i32();
  const ttlMs = opAsked === OpCode.CreateTtl ? r.i64AsNumber() : -1;
  if (r.failed || pathLength < 0) return ErrorCode.MarshallingError;
  const pathStart = pathEnd - pathLength;

  // Some clients ask for a container by its flag alone; flag and txn have to say the same.
  const isPlain = opAsked === OpCode.Create || opAsked === OpCode.Create2;
  const op = isPlain && flags === CreateMode.Container ? OpCode.CreateContainer : opAsked;
  judge.type = op;
  const refusal = checkMode(judge, op, flags, ttlMs);
  if (refusal !== ErrorCode.Ok) return refusal;
  const lastSlash = slashLast(r.bytes, pathStart, pathEnd);
  if (lastSlash < 0 || pathHasNul(r.bytes, pathStart, pathEnd)) return ErrorCode.BadArguments;
  const normal = open ? null : judge.normalAcls(acls);
  if (!open && normal === null) return ErrorCode.InvalidAcl;

  const { tree, overlay, txn } = judge;
  const parentRow = tree.find(r.bytes, pathStart, lastSlash);
  if (parentRow === 0) return ErrorCode.NoNode;
  const parent = overlay.look(parentRow, judge.parentLook);
  if (!parent.exists) return ErrorCode.NoNode;
  if (!judge.allows(parent.acl, Perm.Create)) return ErrorCode.NoAuth;

  // The path goes into the txn first: with its suffix it exists nowhere else.
  const lengthAt = txn.room(4);
  txn.rawRange(r.bytes, pathStart, pathEnd);
  if (isSequential(flags)) {
    // The counter is at its end: the original offers the last name for ever and refuses by NodeExists.
    if (parent.cversion === cversionMax) return ErrorCode.BadArguments;
    writeSuffix(judge, parent.cversion);
  }
  const start = lengthAt + 4;
  const end = txn.length;
  txn.i32At(lengthAt, end - start);
  if (!pathIsValid(txn.bytes, start, end)) return ErrorCode.BadArguments;
  const nameStart = start + (lastSlash + 1 - pathStart);
  if (nameStart === end) return ErrorCode.NodeExists; // "/" itself
  const known = tree.child(parentRow, txn.bytes, nameStart, end);
  if (known !== 0 && overlay.look(known, judge.nodeLook).exists) return ErrorCode.NodeExists;
  if (ownerKind(parent.ownerHi, parent.ownerLo) === OwnerKind.Session) {
    return ErrorCode.NoChildrenForEphemerals;
  }
  if (!judge.quotas.admits(txn.bytes, start, end, 1, Math.max(0, dataLength))) return ErrorCode.QuotaExceeded;

  // Clients build locks and queues on this count: a name given out once is never given out again.
  const cversion = (parent.cversion + 1) | 0;
  if (dataLength < 0) txn.i32(-1);
  else {
    txn.i32(dataLength);
    txn.rawRange(r.bytes, dataEnd - dataLength, dataEnd);
  }
  const aclsAt = txn.length;
  txn.raw(normal === null ? aclOpenBytes : encodeAcls(normal));
  const aclsEnd = txn.length;
  const ephemeral = flags === CreateMode.Ephemeral || flags === CreateMode.EphemeralSequential;
  if (op === OpCode.CreateContainer) txn.i32(cversion);
  else if (op === OpCode.CreateTtl) {
    txn.i32(cversion);
    txn.i64FromNumber(ttlMs);
  } else {
    txn.bool(ephemeral);
    txn.i32(cversion);
  }
  if (!judge.fits()) return ErrorCode.MarshallingError;

  const zxid = judge.zxid;
  const parentEdit = overlay.edit(parentRow, zxid);
  if (cversion > parentEdit.cversion) {
    parentEdit.cversion = cversion;
    parentEdit.pzxid = zxid;
  }
  parentEdit.children++;
  overlay.sign(parentEdit);
  const row = known !== 0
    ? known
    : tree.reserve(parentRow, txn.bytes, nameStart, end, crcUpdate(crcStart, txn.bytes, start, end));
  const node = overlay.edit(row, zxid);
  node.exists = true;
  node.czxid = node.mzxid = node.pzxid = zxid;
  node.ctime = node.mtime = judge.timeMs;
  node.version = node.cversion = node.aversion = 0;
  node.children = 0;
  node.ownerHi = op === OpCode.CreateContainer
    ? containerOwnerHi
    : op === OpCode.CreateTtl
    ? ttlOwnerMark | Math.floor(ttlMs / 0x1_0000_0000)
    : ephemeral
    ? (judge.session?.hi ?? 0)
    : 0;
  node.ownerLo = op === OpCode.CreateTtl ? ttlMs | 0 : ephemeral ? (judge.session?.lo ?? 0) : 0;
  overlay.setAcl(node, normal === null ? 0 : tree.acls.use(txn.bytes, aclsAt, aclsEnd));
  overlay.setData(node, r.bytes, dataLength < 0 ? -1 : dataEnd - dataLength, dataEnd);
  overlay.sign(node);
  judge.quotas.propose(txn.bytes, start, end, 1, Math.max(0, dataLength));
  if (ephemeral && judge.session !== null) judge.session.zxidEphemeral = zxid;
  return ErrorCode.Ok;
}

const cversionMax = 0x7fff_ffff;

function isSequential(flags: number): boolean {
  return flags === CreateMode.PersistentSequential || flags === CreateMode.EphemeralSequential ||
    flags === CreateMode.PersistentSequentialTtl;
}

/** Flags, TTL and op have to tell the same story; where they did not, the original made what it could not apply. */
function checkMode(judge: Judge, op: number, flags: number, ttlMs: number): number {
  if (flags < CreateMode.Persistent || flags > CreateMode.PersistentSequentialTtl) {
    return ErrorCode.BadArguments;
  }
  const isTtl = flags === CreateMode.PersistentTtl || flags === CreateMode.PersistentSequentialTtl;
  if (isTtl && !judge.options.extendedTypes) return ErrorCode.Unimplemented;
  if (isTtl ? ttlMs < 1 || ttlMs > ttlMsMax : ttlMs >= 0) return ErrorCode.BadArguments;
  if (isTtl !== (op === OpCode.CreateTtl)) return ErrorCode.BadArguments;
  if ((flags === CreateMode.Container) !== (op === OpCode.CreateContainer)) return ErrorCode.BadArguments;
  return ErrorCode.Ok;
}

/** `%010d` of the parent's count of creations. */
function writeSuffix(judge: Judge, cversion: number): void {
  const digits = String(Math.abs(cversion));
  const text = cversion < 0 ? `-${digits.padStart(9, "0")}` : digits.padStart(10, "0");
  const at = judge.txn.room(text.length);
  for (let i = 0; i < text.length; i++) judge.txn.bytes[at + i] = text.charCodeAt(i);
}
