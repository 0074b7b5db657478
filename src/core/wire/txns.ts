/**
 * Txns: the bytes that the log keeps and that a peer would send.
 *
 * TxnHeader (32 bytes), the record of its type, and, where the leader computes digests, 12 bytes of
 * TxnDigest. server-semantics 11.1, 11.2; quorum-protocol 6.1. A txn is never turned into an object
 * graph: `walkTxn` reads it once and tells a `TxnVisitor` what it does, in order, with ranges of the
 * same bytes. The tree, the tree table on disk and the session table are such visitors.
 */
import { assert } from "../base/assert.ts";
import { frameExtraBytesMin } from "../base/limits.ts";
import { OpCode } from "./opcodes.ts";
import { Reader } from "./reader.ts";
import type { Writer } from "./writer.ts";

export const txnHeaderBytes = 32;
export const txnDigestBytes = 12;
export const digestVersion = 2;
assert(
  txnHeaderBytes + txnDigestBytes <= frameExtraBytesMin,
  "a setData as long as a frame fits in a packet",
);

/** What kind of owner a created znode has, before it is folded into ephemeralOwner. */
export interface TxnHeader {
  sessionHi: number;
  sessionLo: number;
  cxid: number;
  zxid: number;
  timeMs: number;
  type: number;
}

export function writeTxnHeader(
  writer: Writer,
  sessionHi: number,
  sessionLo: number,
  cxid: number,
  zxid: number,
  timeMs: number,
  type: number,
): void {
  writer.i64Halves(sessionHi, sessionLo);
  writer.i32(cxid);
  writer.i64FromNumber(zxid);
  writer.i64FromNumber(timeMs);
  writer.i32(type);
}

/**
 * Told what one txn does. Ranges are `[start, end)` of `bytes`; a start of -1 is null.
 *
 * The order of calls is the order of the record. Every method may be called many times for a multi,
 * and none for a txn that failed. Nothing may be kept of `bytes` after the call.
 */
export interface TxnVisitor {
  /** The type of the record that follows; of each part in a multi. */
  op?(type: number): void;
  /** `ownerHi/ownerLo`: 0, a session, the container mark or a TTL, as stored. `acls` is the whole encoded vector. */
  created(
    bytes: Uint8Array,
    pathStart: number,
    pathEnd: number,
    dataStart: number,
    dataEnd: number,
    aclsStart: number,
    aclsEnd: number,
    ownerHi: number,
    ownerLo: number,
    parentCversion: number,
    zxid: number,
    timeMs: number,
  ): void;
  deleted(bytes: Uint8Array, pathStart: number, pathEnd: number, zxid: number): void;
  dataSet(
    bytes: Uint8Array,
    pathStart: number,
    pathEnd: number,
    dataStart: number,
    dataEnd: number,
    version: number,
    zxid: number,
    timeMs: number,
  ): void;
  aclSet(
    bytes: Uint8Array,
    pathStart: number,
    pathEnd: number,
    aclsStart: number,
    aclsEnd: number,
    version: number,
    zxid: number,
  ): void;
  sessionCreated(sessionHi: number, sessionLo: number, timeoutMs: number): void;
  /** After this come `deleted` for each path that the txn lists. */
  sessionClosed(sessionHi: number, sessionLo: number, zxid: number): void;
}

export const containerOwnerHi = 0x8000_0000 | 0;
export const ttlOwnerMark = 0xff00_0000 | 0;

const types: ReadonlySet<number> = new Set([
  OpCode.Create,
  OpCode.Create2,
  OpCode.CreateContainer,
  OpCode.CreateTtl,
  OpCode.Delete,
  OpCode.DeleteContainer,
  OpCode.SetData,
  OpCode.Reconfig,
  OpCode.SetAcl,
  OpCode.Check,
  OpCode.Multi,
  OpCode.CreateSession,
  OpCode.CloseSession,
  OpCode.Error,
]);

/** Is it one that we can apply? */
export function isTxnType(type: number): boolean {
  return types.has(type);
}

const walker = new Reader();
const inner = new Reader();
const header: TxnHeader = { sessionHi: 0, sessionLo: 0, cxid: 0, zxid: 0, timeMs: 0, type: 0 };

/** Reads the header of the txn at `bytes[start, end)` into an object that the next call reuses. */
export function txnHeaderAt(bytes: Uint8Array, start: number, end: number): TxnHeader {
  const r = walker;
  r.reset(bytes, start, end);
  header.sessionHi = r.i32();
  header.sessionLo = r.i32();
  header.cxid = r.i32();
  header.zxid = r.i64AsNumber();
  header.timeMs = r.i64AsNumber();
  header.type = r.i32();
  return header;
}

/** Skips an ACL vector. */
function skipAcls(r: Reader): void {
  const count = r.i32();
  for (let i = 0; i < count && !r.failed; i++) {
    r.i32();
    r.span();
    r.span();
  }
}

function walkCreate(r: Reader, type: number, h: TxnHeader, visitor: TxnVisitor): boolean {
  const pathLength = r.span();
  const pathEnd = r.at;
  const dataLength = r.span();
  const dataEnd = r.at;
  const aclsStart = r.at;
  skipAcls(r);
  const aclsEnd = r.at;
  let ownerHi = 0;
  let ownerLo = 0;
  let parentCversion = -1;
  if (type === OpCode.CreateContainer) {
    parentCversion = r.i32();
    ownerHi = containerOwnerHi;
  } else if (type === OpCode.CreateTtl) {
    parentCversion = r.i32();
    ownerHi = r.i32() | ttlOwnerMark;
    ownerLo = r.i32();
  } else {
    if (r.bool()) {
      ownerHi = h.sessionHi;
      ownerLo = h.sessionLo;
    }
    // Records from before 3.4 end here: the parent's own count is taken instead.
    if (r.left >= 4) parentCversion = r.i32();
  }
  if (r.failed || pathLength < 0) return false;
  const b = r.bytes;
  const dataStart = dataLength < 0 ? -1 : dataEnd - dataLength;
  visitor.created(
    b,
    pathEnd - pathLength,
    pathEnd,
    dataStart,
    dataEnd,
    aclsStart,
    aclsEnd,
    ownerHi,
    ownerLo,
    parentCversion,
    h.zxid,
    h.timeMs,
  );
  return true;
}

/** Is what is left a digest and no list before it? Two empty paths would look the same, and nobody has those. */
function isDigestAlone(r: Reader): boolean {
  if (r.left !== txnDigestBytes) return false;
  const first = r.i32();
  r.at -= 4;
  return first === digestVersion;
}

function walkRecord(r: Reader, type: number, h: TxnHeader, visitor: TxnVisitor): boolean {
  visitor.op?.(type);
  switch (type) {
    case OpCode.Create:
    case OpCode.Create2:
    case OpCode.CreateContainer:
    case OpCode.CreateTtl:
      return walkCreate(r, type, h, visitor);
    case OpCode.Delete:
    case OpCode.DeleteContainer: {
      const length = r.span();
      if (length < 0) return false;
      visitor.deleted(r.bytes, r.at - length, r.at, h.zxid);
      return true;
    }
    case OpCode.SetData:
    case OpCode.Reconfig: {
      const pathLength = r.span();
      const pathEnd = r.at;
      const dataLength = r.span();
      const dataEnd = r.at;
      const version = r.i32();
      if (r.failed || pathLength < 0) return false;
      const dataStart = dataLength < 0 ? -1 : dataEnd - dataLength;
      visitor.dataSet(r.bytes, pathEnd - pathLength, pathEnd, dataStart, dataEnd, version, h.zxid, h.timeMs);
      return true;
    }
    case OpCode.SetAcl: {
      const pathLength = r.span();
      const pathEnd = r.at;
      const aclsStart = r.at;
      skipAcls(r);
      const aclsEnd = r.at;
      const version = r.i32();
      if (r.failed || pathLength < 0) return false;
      visitor.aclSet(r.bytes, pathEnd - pathLength, pathEnd, aclsStart, aclsEnd, version, h.zxid);
      return true;
    }
    case OpCode.CreateSession: {
      const timeoutMs = r.i32();
      if (r.failed) return false;
      visitor.sessionCreated(h.sessionHi, h.sessionLo, timeoutMs);
      return true;
    }
    case OpCode.CloseSession: {
      visitor.sessionClosed(h.sessionHi, h.sessionLo, h.zxid);
      // Before 3.6, or with closeSessionTxn.enabled=false, there is no list.
      if (r.left < 4 || isDigestAlone(r)) return true;
      const count = r.i32();
      for (let i = 0; i < count; i++) {
        const length = r.span();
        if (length < 0) return false;
        visitor.deleted(r.bytes, r.at - length, r.at, h.zxid);
      }
      return true;
    }
    case OpCode.Error:
      r.i32();
      return !r.failed;
    case OpCode.Check:
      r.span();
      r.i32();
      return !r.failed;
    default:
      return false;
  }
}

/**
 * Tells `visitor` what the txn at `bytes[start, end)` does. A failed multi does nothing.
 * False: the bytes are no txn; then what was told before is not to be trusted either.
 */
export function walkTxn(bytes: Uint8Array, start: number, end: number, visitor: TxnVisitor): boolean {
  const h = txnHeaderAt(bytes, start, end);
  const r = walker;
  if (r.failed) return false;
  if (h.type !== OpCode.Multi) return walkRecord(r, h.type, h, visitor);
  const count = r.i32();
  if (r.failed || count < 0) return false;
  const bodyAt = r.at;
  for (let i = 0; i < count; i++) {
    if (r.i32() === OpCode.Error) return true;
    r.span();
    if (r.failed) return false;
  }
  r.at = bodyAt;
  for (let i = 0; i < count; i++) {
    const type = r.i32();
    const length = r.span();
    if (r.failed) return false;
    inner.reset(r.bytes, r.at - Math.max(length, 0), r.at);
    if (!walkRecord(inner, type, h, visitor)) return false;
  }
  return true;
}
