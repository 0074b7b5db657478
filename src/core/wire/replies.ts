/**
 * Replies as a client reads them: client-protocol 2.1, 4.3, 6, 7.1.
 *
 * A reader that ran out of bytes is `failed` and what was returned means nothing; the caller asks
 * once, after the whole record. Bytes behind a record are ignored, because servers of other versions
 * append to theirs (client-protocol 1.3). Buffers are views of the frame: copy what outlives it.
 */
import { OpCode } from "./opcodes.ts";
import type { Reader } from "./reader.ts";
import { type Acl, readAcls, readStat, type Stat } from "./records.ts";

export interface ConnectReply {
  readonly protocolVersion: number;
  /** 0: the session is refused, because it expired, is unknown or the password is wrong. */
  readonly timeoutMs: number;
  readonly sessionId: bigint;
  readonly password: Uint8Array | null;
  /** Null where the byte is absent: the request had none, or the server is older than 3.4. */
  readonly readOnly: boolean | null;
}

export function readConnectReply(reader: Reader): ConnectReply {
  const protocolVersion = reader.i32();
  const timeoutMs = reader.i32();
  const sessionId = reader.i64();
  const password = reader.buffer();
  const readOnly = !reader.failed && reader.left > 0 ? reader.bool() : null;
  return { protocolVersion, timeoutMs, sessionId, password, readOnly };
}

export interface ReplyHeader {
  readonly xid: number;
  readonly zxid: number;
  readonly err: number;
}

export function readReplyHeader(reader: Reader): ReplyHeader {
  return { xid: reader.i32(), zxid: reader.i64AsNumber(), err: reader.i32() };
}

export interface WatchEventRecord {
  readonly type: number;
  readonly state: number;
  readonly path: string | null;
}

export function readWatchEvent(reader: Reader): WatchEventRecord {
  return { type: reader.i32(), state: reader.i32(), path: reader.string() };
}

/** create and sync: one path. */
export function readPathReply(reader: Reader): string {
  return required(reader, reader.string()) ?? "";
}

/** create2, createContainer and createTTL. */
export function readCreate2Reply(reader: Reader): { readonly path: string; readonly stat: Stat } {
  return { path: readPathReply(reader), stat: readStat(reader) };
}

/** exists, setData and setACL. */
export function readStatReply(reader: Reader): Stat {
  return readStat(reader);
}

/** getData and reconfig. */
export function readDataReply(reader: Reader): { readonly data: Uint8Array | null; readonly stat: Stat } {
  return { data: reader.buffer(), stat: readStat(reader) };
}

/** getChildren: names in no order. */
export function readNamesReply(reader: Reader): string[] {
  const names = reader.strings() ?? [];
  return names.map((name) => required(reader, name) ?? "");
}

/** getChildren2. */
export function readChildren2Reply(reader: Reader): { readonly children: string[]; readonly stat: Stat } {
  return { children: readNamesReply(reader), stat: readStat(reader) };
}

export function readAclReply(reader: Reader): { readonly acls: Acl[]; readonly stat: Stat } {
  const loose = readAcls(reader) ?? [];
  const acls = loose.map(({ perms, scheme, id }) => ({ perms, id: { scheme: scheme ?? "", id: id ?? "" } }));
  return { acls, stat: readStat(reader) };
}

/** getAllChildrenNumber; also the body of addWatch, which is an error code. */
export function readCountReply(reader: Reader): number {
  return reader.i32();
}

export interface ClientInfo {
  readonly scheme: string;
  readonly user: string;
}

/** The smallest entry is two lengths. */
const clientInfoBytesMin = 8;

export function readWhoAmIReply(reader: Reader): ClientInfo[] {
  const count = reader.i32();
  const list: ClientInfo[] = [];
  if (count * clientInfoBytesMin > reader.left) reader.failed = true;
  for (let i = 0; i < count && !reader.failed; i++) {
    list.push({ scheme: reader.string() ?? "", user: reader.string() ?? "" });
  }
  return list;
}

export function readSaslReply(reader: Reader): Uint8Array | null {
  return reader.buffer();
}

export type MultiResult =
  | { readonly kind: "created"; readonly path: string; readonly stat: Stat | null }
  | { readonly kind: "deleted" }
  | { readonly kind: "dataSet"; readonly stat: Stat }
  | { readonly kind: "checked" }
  | { readonly kind: "data"; readonly data: Uint8Array | null; readonly stat: Stat }
  | { readonly kind: "children"; readonly children: readonly string[] }
  | { readonly kind: "error"; readonly code: number };

/**
 * multi and multiRead. A multi that failed holds errors alone: 0 for the ops before the one that
 * failed, RuntimeInconsistency for those behind it.
 */
export function readMultiReply(reader: Reader): MultiResult[] {
  const list: MultiResult[] = [];
  while (!reader.failed) {
    const type = reader.i32();
    const done = reader.bool();
    reader.i32();
    if (done || reader.failed) break;
    list.push(readMultiResult(reader, type));
  }
  return list;
}

function readMultiResult(reader: Reader, type: number): MultiResult {
  switch (type) {
    case OpCode.Create:
      return { kind: "created", path: readPathReply(reader), stat: null };
    case OpCode.Create2:
    case OpCode.CreateContainer:
    case OpCode.CreateTtl:
      return { kind: "created", ...readCreate2Reply(reader) };
    case OpCode.Delete:
      return { kind: "deleted" };
    case OpCode.SetData:
      return { kind: "dataSet", stat: readStat(reader) };
    case OpCode.Check:
      return { kind: "checked" };
    case OpCode.GetData:
      return { kind: "data", ...readDataReply(reader) };
    case OpCode.GetChildren:
      return { kind: "children", children: readNamesReply(reader) };
    case OpCode.Error:
      return { kind: "error", code: reader.i32() };
    default:
      // How long an unknown result is cannot be told, so nothing behind it can be read either.
      reader.failed = true;
      return { kind: "error", code: 0 };
  }
}

/** A field that no server leaves null. */
function required<T>(reader: Reader, value: T | null): T | null {
  if (value === null) reader.failed = true;
  return value;
}
