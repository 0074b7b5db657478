/**
 * Requests as a client writes them: client-protocol 2.1, 4.2, 6.
 *
 * Only bodies and headers, no frame length and no xid bookkeeping; those belong to whoever owns the
 * connection. The server does not read its requests here: it decodes each in place, field by field,
 * without an object in between. What both must agree on is pinned by the golden bytes in the tests.
 */
import { unreachable } from "../base/assert.ts";
import { OpCode } from "./opcodes.ts";
import type { Acl } from "./records.ts";
import { writeAcls } from "./records.ts";
import type { Writer } from "./writer.ts";

export interface ConnectRequest {
  readonly protocolVersion: number;
  readonly zxidSeen: number;
  readonly timeoutMs: number;
  /** 0n asks for a new session. */
  readonly sessionId: bigint;
  readonly password: Uint8Array | null;
  /** Null leaves the byte out, as clients before 3.4 and some of other languages do. */
  readonly readOnly: boolean | null;
}

export function writeConnectRequest(writer: Writer, request: ConnectRequest): void {
  writer.i32(request.protocolVersion);
  writer.i64FromNumber(request.zxidSeen);
  writer.i32(request.timeoutMs);
  writer.i64(request.sessionId);
  writer.buffer(request.password);
  if (request.readOnly !== null) writer.bool(request.readOnly);
}

export function writeRequestHeader(writer: Writer, xid: number, op: number): void {
  writer.i32(xid);
  writer.i32(op);
}

/** create, create2 and createContainer: the opcode says which, the flags say of what kind. */
export function writeCreateRequest(
  writer: Writer,
  path: string | null,
  data: Uint8Array | null,
  acls: readonly Acl[] | null,
  flags: number,
): void {
  writer.string(path);
  writer.buffer(data);
  writeAcls(writer, acls);
  writer.i32(flags);
}

export function writeCreateTtlRequest(
  writer: Writer,
  path: string | null,
  data: Uint8Array | null,
  acls: readonly Acl[] | null,
  flags: number,
  ttlMs: number,
): void {
  writeCreateRequest(writer, path, data, acls, flags);
  writer.i64FromNumber(ttlMs);
}

export function writeDeleteRequest(writer: Writer, path: string | null, version: number): void {
  writer.string(path);
  writer.i32(version);
}

/** exists, getData, getChildren and getChildren2. */
export function writeWatchableRequest(writer: Writer, path: string | null, watch: boolean): void {
  writer.string(path);
  writer.bool(watch);
}

export function writeSetDataRequest(
  writer: Writer,
  path: string | null,
  data: Uint8Array | null,
  version: number,
): void {
  writer.string(path);
  writer.buffer(data);
  writer.i32(version);
}

/** getACL, sync and getAllChildrenNumber; and getEphemerals, whose path is a prefix. */
export function writePathRequest(writer: Writer, path: string | null): void {
  writer.string(path);
}

export function writeSetAclRequest(
  writer: Writer,
  path: string | null,
  acls: readonly Acl[] | null,
  version: number,
): void {
  writer.string(path);
  writeAcls(writer, acls);
  writer.i32(version);
}

export function writeCheckRequest(writer: Writer, path: string | null, version: number): void {
  writer.string(path);
  writer.i32(version);
}

export function writeReconfigRequest(
  writer: Writer,
  joining: string | null,
  leaving: string | null,
  members: string | null,
  configId: number,
): void {
  writer.string(joining);
  writer.string(leaving);
  writer.string(members);
  writer.i64FromNumber(configId);
}

/** checkWatches and removeWatches (`WatcherType`), and addWatch (`AddWatchMode`). */
export function writeWatchTypeRequest(writer: Writer, path: string | null, type: number): void {
  writer.string(path);
  writer.i32(type);
}

export interface WatchPaths {
  readonly data: readonly string[];
  readonly exists: readonly string[];
  readonly children: readonly string[];
  readonly persistent: readonly string[];
  readonly persistentRecursive: readonly string[];
}

/** setWatches: no persistent watches, so servers before 3.6 understand it. */
export function writeSetWatchesRequest(writer: Writer, zxidSeen: number, paths: WatchPaths): void {
  writer.i64FromNumber(zxidSeen);
  writer.strings(paths.data);
  writer.strings(paths.exists);
  writer.strings(paths.children);
}

export function writeSetWatches2Request(writer: Writer, zxidSeen: number, paths: WatchPaths): void {
  writeSetWatchesRequest(writer, zxidSeen, paths);
  writer.strings(paths.persistent);
  writer.strings(paths.persistentRecursive);
}

export function writeAuthRequest(writer: Writer, scheme: string | null, auth: Uint8Array | null): void {
  writer.i32(0);
  writer.string(scheme);
  writer.buffer(auth);
}

export function writeSaslRequest(writer: Writer, token: Uint8Array | null): void {
  writer.buffer(token);
}

// ---------------------------------------------------------------------------------------- multi

/** One op of a multi or a multiRead. */
export type MultiOp =
  | {
    readonly kind: "create";
    /** create, create2, createContainer or createTTL. */
    readonly op: number;
    readonly path: string;
    readonly data: Uint8Array | null;
    readonly acls: readonly Acl[] | null;
    readonly flags: number;
    /** Only with createTTL. */
    readonly ttlMs?: number;
  }
  | { readonly kind: "delete"; readonly path: string; readonly version: number }
  | {
    readonly kind: "setData";
    readonly path: string;
    readonly data: Uint8Array | null;
    readonly version: number;
  }
  | { readonly kind: "check"; readonly path: string; readonly version: number }
  | { readonly kind: "getData"; readonly path: string }
  | { readonly kind: "getChildren"; readonly path: string };

export function writeMultiHeader(writer: Writer, type: number, done: boolean, err: number): void {
  writer.i32(type);
  writer.bool(done);
  writer.i32(err);
}

/** multi and multiRead differ in their opcode and in which ops the server allows inside. */
export function writeMultiRequest(writer: Writer, ops: readonly MultiOp[]): void {
  for (const op of ops) writeMultiOp(writer, op);
  writeMultiHeader(writer, -1, true, -1);
}

function writeMultiOp(writer: Writer, op: MultiOp): void {
  switch (op.kind) {
    case "create":
      writeMultiHeader(writer, op.op, false, -1);
      if (op.op === OpCode.CreateTtl) {
        return writeCreateTtlRequest(writer, op.path, op.data, op.acls, op.flags, op.ttlMs ?? -1);
      }
      return writeCreateRequest(writer, op.path, op.data, op.acls, op.flags);
    case "delete":
      writeMultiHeader(writer, OpCode.Delete, false, -1);
      return writeDeleteRequest(writer, op.path, op.version);
    case "setData":
      writeMultiHeader(writer, OpCode.SetData, false, -1);
      return writeSetDataRequest(writer, op.path, op.data, op.version);
    case "check":
      writeMultiHeader(writer, OpCode.Check, false, -1);
      return writeCheckRequest(writer, op.path, op.version);
    case "getData":
      writeMultiHeader(writer, OpCode.GetData, false, -1);
      return writeWatchableRequest(writer, op.path, false);
    case "getChildren":
      writeMultiHeader(writer, OpCode.GetChildren, false, -1);
      return writeWatchableRequest(writer, op.path, false);
    default:
      return unreachable(op);
  }
}
