/**
 * Bodies: request records as bytes, exactly as asked for, however wrong. client-protocol 4.2.
 */
import { Writer } from "../../src/core/wire/writer.ts";

export type Bytes = Uint8Array<ArrayBuffer>;

export interface LooseAcl {
  readonly perms: number;
  readonly scheme: string | null;
  readonly id: string | null;
}

export const openAcl: readonly LooseAcl[] = [{ perms: 31, scheme: "world", id: "anyone" }];
export const noBody: Bytes = new Uint8Array(0);

/** A path as text, or as bytes where they are no text. */
export type LoosePath = string | Uint8Array | null;

function writePath(w: Writer, path: LoosePath): void {
  if (path === null || typeof path === "string") w.string(path);
  else w.buffer(path);
}

function writeAclVector(w: Writer, acls: readonly LooseAcl[] | null): void {
  if (acls === null) return w.i32(-1);
  w.i32(acls.length);
  for (const acl of acls) {
    w.i32(acl.perms);
    w.string(acl.scheme);
    w.string(acl.id);
  }
}

/** Whatever `write` puts into a fresh writer. */
export function bytesOfRecord(write: (w: Writer) => void): Bytes {
  const w = new Writer(64);
  write(w);
  return w.copy();
}

export function createBody(
  path: LoosePath,
  data: Uint8Array | null,
  flags = 0,
  acls: readonly LooseAcl[] | null = openAcl,
  ttl?: bigint,
): Bytes {
  return bytesOfRecord((w) => {
    writePath(w, path);
    w.buffer(data);
    writeAclVector(w, acls);
    w.i32(flags);
    if (ttl !== undefined) w.i64(ttl);
  });
}

/** delete, check, checkWatches, removeWatches, addWatch: a path and a number. */
export function pathNumberBody(path: LoosePath, number: number): Bytes {
  return bytesOfRecord((w) => {
    writePath(w, path);
    w.i32(number);
  });
}

/** exists, getData, getChildren, getChildren2. */
export function pathWatchBody(path: LoosePath, watch: boolean): Bytes {
  return bytesOfRecord((w) => {
    writePath(w, path);
    w.bool(watch);
  });
}

/** getACL, sync, getEphemerals, getAllChildrenNumber. */
export function pathBody(path: LoosePath): Bytes {
  return bytesOfRecord((w) => writePath(w, path));
}

export function setDataBody(path: LoosePath, data: Uint8Array | null, version: number): Bytes {
  return bytesOfRecord((w) => {
    writePath(w, path);
    w.buffer(data);
    w.i32(version);
  });
}

export function setAclBody(path: LoosePath, acls: readonly LooseAcl[] | null, version: number): Bytes {
  return bytesOfRecord((w) => {
    writePath(w, path);
    writeAclVector(w, acls);
    w.i32(version);
  });
}

export function authBody(scheme: string | null, auth: Uint8Array | null): Bytes {
  return bytesOfRecord((w) => {
    w.i32(0);
    w.string(scheme);
    w.buffer(auth);
  });
}

export interface SubRequest {
  readonly op: number;
  readonly body: Uint8Array;
}

/** multi and multiRead. client-protocol 6. */
export function multiBody(subs: readonly SubRequest[]): Bytes {
  return bytesOfRecord((w) => {
    for (const sub of subs) {
      w.i32(sub.op);
      w.bool(false);
      w.i32(-1);
      w.raw(sub.body);
    }
    w.i32(-1);
    w.bool(true);
    w.i32(-1);
  });
}

/** setWatches with three lists, setWatches2 with five. */
export function setWatchesBody(relativeZxid: bigint, lists: readonly (readonly string[] | null)[]): Bytes {
  return bytesOfRecord((w) => {
    w.i64(relativeZxid);
    for (const list of lists) w.strings(list);
  });
}

/** A request frame with its length in front. */
export function requestFrame(xid: number, op: number, body: Uint8Array): Bytes {
  return bytesOfRecord((w) => {
    w.i32(8 + body.length);
    w.i32(xid);
    w.i32(op);
    w.raw(body);
  });
}

export interface ConnectOptions {
  readonly timeoutMs?: number;
  readonly sessionId?: bigint;
  readonly password?: Uint8Array | null;
  readonly lastZxidSeen?: bigint;
  /** Undefined leaves the byte out, as clients before 3.4 and some others do. */
  readonly readOnly?: boolean | undefined;
}

/** A ConnectRequest frame with its length in front. client-protocol 2.1. */
export function connectFrame(options: ConnectOptions): Bytes {
  const body = bytesOfRecord((w) => {
    w.i32(0);
    w.i64(options.lastZxidSeen ?? 0n);
    w.i32(options.timeoutMs ?? 30_000);
    w.i64(options.sessionId ?? 0n);
    w.buffer(options.password === undefined ? new Uint8Array(16) : options.password);
    if (options.readOnly !== undefined) w.bool(options.readOnly);
  });
  return bytesOfRecord((w) => w.buffer(body));
}
