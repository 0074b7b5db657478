/**
 * Stat arithmetic: what is stored, what a client is shown, and what the digest covers.
 * server-semantics 1.2, 1.4, 10.9.
 */
import { crcUpdate } from "../base/crc32.ts";
import type { Writer } from "../wire/writer.ts";
import { containerOwnerHi } from "../wire/txns.ts";
import { statBytes } from "../base/limits.ts";

export const OwnerKind = { None: 0, Session: 1, Container: 2, Ttl: 3 } as const;
export type OwnerKind = (typeof OwnerKind)[keyof typeof OwnerKind];

/** What the stored ephemeralOwner stands for. */
export function ownerKind(hi: number, lo: number): OwnerKind {
  if (hi === 0 && lo === 0) return OwnerKind.None;
  if (hi === containerOwnerHi && lo === 0) return OwnerKind.Container;
  if (hi >>> 24 === 0xff) return OwnerKind.Ttl;
  return OwnerKind.Session;
}

/** TTL in ms of an owner of kind Ttl. */
export function ownerTtlMs(hi: number, lo: number): number {
  return (hi & 0xff) * 0x1_0000_0000 + (lo >>> 0);
}

/** The stored stat of a znode; the wire's differs in cversion and ephemeralOwner. */
export interface StatStored {
  czxid: number;
  mzxid: number;
  pzxid: number;
  ctime: number;
  mtime: number;
  version: number;
  cversion: number;
  aversion: number;
  ownerHi: number;
  ownerLo: number;
}

/** A stat to be filled, for those who read many. */
export function statBlank(): StatStored {
  return {
    czxid: 0,
    mzxid: 0,
    pzxid: 0,
    ctime: 0,
    mtime: 0,
    version: 0,
    cversion: 0,
    aversion: 0,
    ownerHi: 0,
    ownerLo: 0,
  };
}

/** Writes the 68 bytes that a client sees. */
export function writeStatOf(writer: Writer, stat: StatStored, dataLength: number, children: number): void {
  const at = writer.room(statBytes);
  const b = writer.bytes;
  i64(b, at, stat.czxid);
  i64(b, at + 8, stat.mzxid);
  i64(b, at + 16, stat.ctime);
  i64(b, at + 24, stat.mtime);
  i32(b, at + 32, stat.version);
  i32(b, at + 36, (2 * stat.cversion - children) | 0);
  i32(b, at + 40, stat.aversion);
  const shown = ownerKind(stat.ownerHi, stat.ownerLo) === OwnerKind.Session;
  i32(b, at + 44, shown ? stat.ownerHi : 0);
  i32(b, at + 48, shown ? stat.ownerLo : 0);
  i32(b, at + 52, dataLength < 0 ? 0 : dataLength);
  i32(b, at + 56, children);
  i64(b, at + 60, stat.pzxid);
}

function i32(b: Uint8Array, at: number, value: number): void {
  b[at] = value >>> 24;
  b[at + 1] = value >>> 16;
  b[at + 2] = value >>> 8;
  b[at + 3] = value;
}

function i64(b: Uint8Array, at: number, value: number): void {
  i32(b, at, Math.floor(value / 0x1_0000_0000));
  i32(b, at + 4, value | 0);
}

const scratch = new Uint8Array(60);

/** Goes on from the checksum state after path and data, over the stat; pzxid stands third here. */
export function crcStat(state: number, stat: StatStored): number {
  i64(scratch, 0, stat.czxid);
  i64(scratch, 8, stat.mzxid);
  i64(scratch, 16, stat.pzxid);
  i64(scratch, 24, stat.ctime);
  i64(scratch, 32, stat.mtime);
  i32(scratch, 40, stat.version);
  i32(scratch, 44, stat.cversion);
  i32(scratch, 48, stat.aversion);
  i32(scratch, 52, stat.ownerHi);
  i32(scratch, 56, stat.ownerLo);
  return crcUpdate(state, scratch, 0, 60);
}

/** A 64-bit sum of 32-bit digests, wrapping. */
export class DigestSum {
  hi = 0;
  lo = 0;

  add(digest: number): void {
    const sum = this.lo + (digest >>> 0);
    this.lo = sum >>> 0;
    if (sum > 0xffff_ffff) this.hi = (this.hi + 1) >>> 0;
  }

  subtract(digest: number): void {
    const difference = this.lo - (digest >>> 0);
    this.lo = difference >>> 0;
    if (difference < 0) this.hi = (this.hi - 1) >>> 0;
  }

  set(other: DigestSum): void {
    this.hi = other.hi;
    this.lo = other.lo;
  }

  equals(hi: number, lo: number): boolean {
    return this.hi === hi >>> 0 && this.lo === lo >>> 0;
  }

  get value(): bigint {
    return (BigInt(this.hi) << 32n) | BigInt(this.lo);
  }
}
