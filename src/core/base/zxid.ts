/**
 * Zxids and session ids: the two 64-bit numbers, branded so that one is never taken for the other.
 *
 * A zxid is `epoch << 32 | counter`. It is compared and incremented on every request, so it is a
 * JavaScript number (see `epochMax`). A session id uses all 64 bits but is only an identity: a
 * bigint in tables, two 32-bit halves where it is written.
 */
import { fail } from "./assert.ts";
import { counterMax, epochMax } from "./limits.ts";

export type Zxid = number & { readonly __brand: "Zxid" };
export type SessionId = bigint & { readonly __brand: "SessionId" };

const epochUnit = 0x1_0000_0000;

export const zxidZero = 0 as Zxid;

export function zxidOf(epoch: number, counter: number): Zxid {
  if (!(epoch >= 0 && epoch <= epochMax)) fail(`epoch ${epoch} is in range`);
  if (!(counter >= 0 && counter <= counterMax)) fail(`counter ${counter} is in range`);
  return (epoch * epochUnit + counter) as Zxid;
}

export function epochOf(zxid: Zxid): number {
  return Math.floor(zxid / epochUnit);
}

export function counterOf(zxid: Zxid): number {
  return zxid % epochUnit;
}

/** The next zxid of the same epoch. The caller has made sure that the counter has room. */
export function zxidNext(zxid: Zxid): Zxid {
  return (zxid + 1) as Zxid;
}

export function zxidHex(zxid: Zxid): string {
  return `0x${zxid.toString(16)}`;
}

export function sessionIdOf(hi: number, lo: number): SessionId {
  return ((BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)) as SessionId;
}

export function sessionHi(id: SessionId): number {
  return Number(BigInt.asIntN(32, id >> 32n));
}

export function sessionLo(id: SessionId): number {
  return Number(BigInt.asIntN(32, id));
}

export function sessionHex(id: SessionId): string {
  return `0x${BigInt.asUintN(64, id).toString(16)}`;
}
