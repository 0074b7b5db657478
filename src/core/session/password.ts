/**
 * Session passwords and ids.
 *
 * A password is a function of the id, so any server can check any session and nothing is stored;
 * Apache's peers compute the same (client-protocol 2.4). It keeps accidents out, not attackers.
 */
import { bytesEqual } from "../base/bytes.ts";
import type { SessionId } from "../base/zxid.ts";

export const passwordBytes = 16;

const multiplier = 0x5deece66dn;
const mask48 = (1n << 48n) - 1n;

export function passwordOf(id: SessionId): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(passwordBytes);
  let state = (BigInt.asUintN(64, id) ^ 0xb3415c00n ^ multiplier) & mask48;
  for (let i = 0; i < passwordBytes; i += 4) {
    state = (state * multiplier + 0xbn) & mask48;
    const word = Number((state >> 16n) & 0xffff_ffffn);
    bytes[i] = word;
    bytes[i + 1] = word >>> 8;
    bytes[i + 2] = word >>> 16;
    bytes[i + 3] = word >>> 24;
  }
  return bytes;
}

export function passwordMatches(id: SessionId, password: Uint8Array | null): boolean {
  return id !== 0n && password !== null && bytesEqual(password, passwordOf(id));
}

/** Bit 63 alone marks containers, so no session may be it. */
const containerMark = 1n << 63n;

/** As the top byte of an owner it marks a TTL, so server 255 takes the one that no server has. */
const ttlByte = 0xff;

/**
 * The first id that a server gives out: its own id, 40 bits of milliseconds, 16 zero bits. Wall time
 * rather than time since boot, so that ids do not come again after a reboot. client-protocol 2.3.
 */
export function sessionIdFirst(serverId: number, wallMs: number): SessionId {
  const top = (serverId & 0xff) === ttlByte ? 0 : serverId & 0xff;
  const id = (BigInt(top) << 56n) | ((BigInt(Math.floor(wallMs)) & 0xff_ffff_ffffn) << 16n);
  return (id === containerMark ? id + 1n : id) as SessionId;
}
