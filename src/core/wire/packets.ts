/**
 * Packets: what peers say to each other on the quorum port. quorum-protocol 3.
 *
 * ```
 * i4 type · i8 zxid · i4 length (-1 null), data · i4 count (-1 null), count × { scheme, id }
 * ```
 *
 * There is no frame around a packet and a snapshot stands bare between two of them, so the stream is
 * cut here: `packetEnd` finds where the packet that begins at a place is over, and nothing is
 * decoded that nobody asks for. On a busy leader hundreds of thousands pass here a second.
 */
import type { Id } from "./records.ts";
import { Reader } from "./reader.ts";
import type { Writer } from "./writer.ts";

export const PacketType = {
  Request: 1,
  Proposal: 2,
  Ack: 3,
  Commit: 4,
  Ping: 5,
  Revalidate: 6,
  Sync: 7,
  Inform: 8,
  CommitAndActivate: 9,
  NewLeader: 10,
  FollowerInfo: 11,
  UpToDate: 12,
  Diff: 13,
  Trunc: 14,
  Snap: 15,
  ObserverInfo: 16,
  LeaderInfo: 17,
  AckEpoch: 18,
  InformAndActivate: 19,
} as const;
export type PacketType = (typeof PacketType)[keyof typeof PacketType];

const names = new Map<number, string>(Object.entries(PacketType).map(([name, type]) => [type, name]));

export function packetName(type: number): string {
  return names.get(type) ?? `type ${type}`;
}

/** `0x10000`, the only version since 3.4. */
export const quorumProtocolVersion = 0x10000;

const headBytes = 16;
/** A packet with neither data nor identities. */
export const packetBytesMin = 20;
/** Identities of one client, as `identitiesMax` and more. */
const identitiesMax = 4096;

function i32At(b: Uint8Array, at: number): number {
  return ((b[at] as number) << 24) | ((b[at + 1] as number) << 16) | ((b[at + 2] as number) << 8) |
    (b[at + 3] as number);
}

/**
 * Where the packet that begins at `at` ends; 0 while it is not whole; -1 when it can be none: a
 * length above `bytesMax` or below -1.
 */
export function packetEnd(b: Uint8Array, at: number, end: number, bytesMax: number): number {
  if (end - at < headBytes) return 0;
  const length = i32At(b, at + 12);
  if (length < -1 || length > bytesMax) return -1;
  let next = at + headBytes + (length > 0 ? length : 0);
  if (end - next < 4) return 0;
  const count = i32At(b, next);
  next += 4;
  if (count === -1) return next;
  if (count < 0 || count > identitiesMax) return -1;
  for (let i = 0; i < count * 2; i++) {
    if (end - next < 4) return 0;
    const size = i32At(b, next);
    next += 4;
    if (size < -1 || size > bytesMax) return -1;
    if (size > 0) next += size;
    if (next - at > bytesMax * 2) return -1;
  }
  return next <= end ? next : 0;
}

/** One packet's fields, read in place; reused. */
export class Packet {
  bytes: Uint8Array = new Uint8Array(0);
  type = 0;
  zxid = 0;
  /** The data is `bytes[dataStart, dataEnd)`; `dataStart` is -1 where it is null. */
  dataStart = -1;
  dataEnd = -1;
  /** The identities, their count first, up to the end of the packet. */
  authStart = 0;
  authEnd = 0;

  /** The packet at `bytes[at, end)`, as `packetEnd` found it. */
  at(bytes: Uint8Array, at: number, end: number): void {
    this.bytes = bytes;
    this.type = i32At(bytes, at);
    this.zxid = i32At(bytes, at + 4) * 0x1_0000_0000 + (i32At(bytes, at + 8) >>> 0);
    const length = i32At(bytes, at + 12);
    this.dataStart = length < 0 ? -1 : at + headBytes;
    this.dataEnd = at + headBytes + Math.max(0, length);
    this.authStart = this.dataEnd;
    this.authEnd = end;
  }

  get dataBytes(): number {
    return this.dataStart < 0 ? 0 : this.dataEnd - this.dataStart;
  }

  data(): Reader {
    return new Reader(this.bytes, this.dataStart < 0 ? this.dataEnd : this.dataStart, this.dataEnd);
  }

  identities(): Id[] {
    const r = new Reader(this.bytes, this.authStart, this.authEnd);
    const count = r.i32();
    const list: Id[] = [];
    for (let i = 0; i < count && !r.failed; i++) {
      list.push({ scheme: r.string() ?? "", id: r.string() ?? "" });
    }
    return list;
  }
}

/** A packet with neither data nor identities. */
export function writePacket(out: Writer, type: PacketType, zxid: number): void {
  const at = out.room(packetBytesMin);
  out.i32At(at, type);
  out.i32At(at + 4, Math.floor(zxid / 0x1_0000_0000));
  out.i32At(at + 8, zxid | 0);
  out.i32At(at + 12, -1);
  out.i32At(at + 16, -1);
}

/** A packet whose data is `bytes[start, end)`, without identities. */
export function writeDataPacket(
  out: Writer,
  type: PacketType,
  zxid: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const at = out.room(headBytes);
  out.i32At(at, type);
  out.i32At(at + 4, Math.floor(zxid / 0x1_0000_0000));
  out.i32At(at + 8, zxid | 0);
  out.i32At(at + 12, end - start);
  out.rawRange(bytes, start, end);
  out.i32(-1);
}

/** Begins a packet whose data the caller writes next; `endPacket` closes it. */
export function beginPacket(out: Writer, type: PacketType, zxid: number): number {
  const at = out.room(headBytes);
  out.i32At(at, type);
  out.i32At(at + 4, Math.floor(zxid / 0x1_0000_0000));
  out.i32At(at + 8, zxid | 0);
  return at;
}

export function endPacket(out: Writer, at: number, identities: readonly Id[] | null = null): void {
  out.i32At(at + 12, out.length - at - headBytes);
  if (identities === null) return out.i32(-1);
  out.i32(identities.length);
  for (const { scheme, id } of identities) {
    out.string(scheme);
    out.string(id);
  }
}

/** What a learner says of itself in FOLLOWERINFO and OBSERVERINFO. */
export interface LearnerInfo {
  readonly sid: number;
  readonly protocolVersion: number;
  readonly configVersion: number;
}

export function writeLearnerInfo(
  out: Writer,
  type: PacketType,
  epochAccepted: number,
  info: LearnerInfo,
): void {
  const at = beginPacket(out, type, epochAccepted * 0x1_0000_0000);
  out.i64FromNumber(info.sid);
  out.i32(info.protocolVersion);
  out.i64FromNumber(info.configVersion);
  endPacket(out, at);
}

/** Null where there is no sid; older and shorter forms are taken as the original takes them. */
export function readLearnerInfo(packet: Packet): LearnerInfo | null {
  const r = packet.data();
  if (r.left < 8) return null;
  const sid = r.i64AsNumber();
  const protocolVersion = r.left >= 4 ? r.i32() : 0;
  const configVersion = r.left >= 8 ? r.i64AsNumber() : 0;
  return { sid, protocolVersion, configVersion };
}
