/**
 * The small records shared by requests, replies and txns: ACL, Id, Stat.
 * client-protocol 5.1, 5.2.
 */
import type { Reader } from "./reader.ts";
import type { Writer } from "./writer.ts";

export interface Id {
  readonly scheme: string;
  readonly id: string;
}

export interface Acl {
  readonly perms: number;
  readonly id: Id;
}

/** What a client sees of a znode. 64-bit numbers that are identities are bigints. */
export interface Stat {
  readonly czxid: number;
  readonly mzxid: number;
  readonly ctime: number;
  readonly mtime: number;
  readonly version: number;
  readonly cversion: number;
  readonly aversion: number;
  readonly ephemeralOwner: bigint;
  readonly dataLength: number;
  readonly numChildren: number;
  readonly pzxid: number;
}

/** An ACL entry before it was checked: each string may be null on the wire. */
export interface AclLoose {
  readonly perms: number;
  readonly scheme: string | null;
  readonly id: string | null;
}

/** The smallest entry: perms and two lengths. */
const aclBytesMin = 12;

export function readAcls(reader: Reader): AclLoose[] | null {
  const count = reader.i32();
  if (count === -1) return null;
  const list: AclLoose[] = [];
  if (count * aclBytesMin > reader.left) reader.failed = true;
  for (let i = 0; i < count && !reader.failed; i++) {
    const perms = reader.i32();
    const scheme = reader.string();
    const id = reader.string();
    list.push({ perms, scheme, id });
  }
  return list;
}

export function writeAcls(writer: Writer, list: readonly Acl[] | null): void {
  if (list === null) return writer.i32(-1);
  writer.i32(list.length);
  for (const { perms, id } of list) {
    writer.i32(perms);
    writer.string(id.scheme);
    writer.string(id.id);
  }
}

export function readStat(reader: Reader): Stat {
  return {
    czxid: reader.i64AsNumber(),
    mzxid: reader.i64AsNumber(),
    ctime: reader.i64AsNumber(),
    mtime: reader.i64AsNumber(),
    version: reader.i32(),
    cversion: reader.i32(),
    aversion: reader.i32(),
    ephemeralOwner: reader.i64(),
    dataLength: reader.i32(),
    numChildren: reader.i32(),
    pzxid: reader.i64AsNumber(),
  };
}

export function writeStat(writer: Writer, stat: Stat): void {
  writer.i64FromNumber(stat.czxid);
  writer.i64FromNumber(stat.mzxid);
  writer.i64FromNumber(stat.ctime);
  writer.i64FromNumber(stat.mtime);
  writer.i32(stat.version);
  writer.i32(stat.cversion);
  writer.i32(stat.aversion);
  writer.i64(stat.ephemeralOwner);
  writer.i32(stat.dataLength);
  writer.i32(stat.numChildren);
  writer.i64FromNumber(stat.pzxid);
}

export const aclOpen: readonly Acl[] = [{ perms: 31, id: { scheme: "world", id: "anyone" } }];
export const aclRead: readonly Acl[] = [{ perms: 1, id: { scheme: "world", id: "anyone" } }];
