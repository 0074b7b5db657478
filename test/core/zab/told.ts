/**
 * Told: packets of the quorum port made by hand, and packets as a line of text that a test compares.
 *
 * A zxid is written `epoch:counter`. What is made here is made of a `Writer` and numbers, not with
 * the code that the core makes packets with, so that the two check each other.
 */
import { Reader } from "../../../src/core/wire/reader.ts";
import { opName } from "../../../src/core/wire/opcodes.ts";
import { Packet, packetEnd, packetName, PacketType } from "../../../src/core/wire/packets.ts";
import { txnHeaderAt } from "../../../src/core/wire/txns.ts";
import { Writer } from "../../../src/core/wire/writer.ts";
import { snapshotSignature } from "../../../src/core/zab/snapshot_writer.ts";
import { textOf } from "../../../src/core/base/bytes.ts";

export type Bytes = Uint8Array<ArrayBuffer>;
type Ids = readonly { readonly scheme: string; readonly id: string }[];

export const z = (epoch: number, counter: number): number => epoch * 0x1_0000_0000 + counter;

export function packet(type: number, zxid: number, data: Uint8Array | null = null, ids?: Ids): Bytes {
  const w = new Writer(64);
  w.i32(type);
  w.i64FromNumber(zxid);
  w.buffer(data);
  if (ids === undefined) w.i32(-1);
  else {
    w.i32(ids.length);
    for (const { scheme, id } of ids) {
      w.string(scheme);
      w.string(id);
    }
  }
  return w.copy();
}

export function bytes(write: (w: Writer) => void): Bytes {
  const w = new Writer(64);
  write(w);
  return w.copy();
}

export function join(...parts: readonly Uint8Array[]): Bytes {
  return bytes((w) => parts.forEach((part) => w.raw(part)));
}

const info = (type: number) => (sid: number, epochAccepted = 0): Bytes =>
  packet(
    type,
    z(epochAccepted, 0),
    bytes((w) => {
      w.i64FromNumber(sid);
      w.i32(0x10000);
      w.i64FromNumber(0);
    }),
  );

export const followerInfo = info(PacketType.FollowerInfo);
export const observerInfo = info(PacketType.ObserverInfo);
export const leaderInfo = (epoch: number): Bytes =>
  packet(PacketType.LeaderInfo, z(epoch, 0), bytes((w) => w.i32(0x10000)));
export const ackEpoch = (epochCurrent: number, zxid: number): Bytes =>
  packet(PacketType.AckEpoch, zxid, bytes((w) => w.i32(epochCurrent)));
export const ack = (zxid: number): Bytes => packet(PacketType.Ack, zxid);
export const diff = (zxid: number): Bytes => packet(PacketType.Diff, zxid);
export const trunc = (zxid: number): Bytes => packet(PacketType.Trunc, zxid);
export const snap = (zxid: number): Bytes => packet(PacketType.Snap, zxid);
export const commit = (zxid: number): Bytes => packet(PacketType.Commit, zxid);
export const newLeader = (epoch: number): Bytes =>
  packet(PacketType.NewLeader, z(epoch, 0), new TextEncoder().encode("version=0"));
export const upToDate: Bytes = packet(PacketType.UpToDate, -1);
export const ping = (zxid: number, touched: Uint8Array | null = null): Bytes =>
  packet(PacketType.Ping, zxid, touched);
export const sync: Bytes = packet(PacketType.Sync, 0);

export function proposal(txn: Uint8Array, type: number = PacketType.Proposal): Bytes {
  return packet(type, txnHeaderAt(txn, 0, txn.length).zxid, txn);
}

export const inform = (txn: Uint8Array): Bytes => proposal(txn, PacketType.Inform);

export const clientIds: Ids = [{ scheme: "ip", id: "127.0.0.1" }];

export function request(
  session: bigint,
  cxid: number,
  op: number,
  body: Uint8Array,
  ids: Ids | undefined = clientIds,
): Bytes {
  return packet(
    PacketType.Request,
    -1,
    bytes((w) => {
      w.i64(session);
      w.i32(cxid);
      w.i32(op);
      w.raw(body);
    }),
    ids,
  );
}

export function revalidate(session: bigint, timeoutMs = 10_000): Bytes {
  const data = bytes((w) => {
    w.i64(session);
    w.i32(timeoutMs);
  });
  return packet(PacketType.Revalidate, -1, data);
}

export function revalidated(session: bigint, valid: boolean): Bytes {
  const data = bytes((w) => {
    w.i64(session);
    w.bool(valid);
  });
  return packet(PacketType.Revalidate, -1, data);
}

export const touches = (...sessions: readonly bigint[]): Bytes =>
  bytes((w) => {
    for (const session of sessions) {
      w.i64(session);
      w.i32(10_000);
    }
  });

// ------------------------------------------------------------------------------------------ txns

export interface TxnOf {
  readonly data?: Uint8Array;
  readonly session?: bigint;
  readonly cxid?: number;
}

function txn(
  zxid: number,
  type: number,
  { session = 0n, cxid = 0 }: TxnOf,
  body: (w: Writer) => void,
): Bytes {
  return bytes((w) => {
    w.i64(session);
    w.i32(cxid);
    w.i64FromNumber(zxid);
    w.i64FromNumber(1_700_000_000_000 + zxid % 0x1_0000_0000);
    w.i32(type);
    body(w);
  });
}

/** Without a digest: what is told here need not be what a leader's tree would be. */
export function createTxn(zxid: number, path: string, of: TxnOf = {}): Bytes {
  return txn(zxid, 1, of, (w) => {
    w.string(path);
    w.buffer(of.data ?? new TextEncoder().encode("x"));
    w.i32(1);
    w.i32(31);
    w.string("world");
    w.string("anyone");
    w.bool(false);
    w.i32(-1);
  });
}

export function sessionTxn(zxid: number, session: bigint, timeoutMs = 10_000): Bytes {
  return txn(zxid, -10, { session }, (w) => w.i32(timeoutMs));
}

export function errorTxn(zxid: number, code: number, of: TxnOf = {}): Bytes {
  return txn(zxid, -1, of, (w) => w.i32(code));
}

// ------------------------------------------------------------------------------------------ text

export function zxidText(zxid: number): string {
  if (zxid < 0) return String(zxid);
  return `${Math.floor(zxid / 0x1_0000_0000)}:${zxid % 0x1_0000_0000}`;
}

const hex = (session: bigint): string => `0x${BigInt.asUintN(64, session).toString(16)}`;
const packetBytesMax = 4 << 20;

export function txnText(txn: Uint8Array): string {
  const { type } = txnHeaderAt(txn, 0, txn.length);
  const r = new Reader(txn, 32);
  const name = opName(type);
  switch (type) {
    case 1:
    case 2:
    case 5:
    case 15:
      return `${name} ${r.string()}`;
    case -1:
      return `${name} ${r.i32()}`;
    case -10:
    case -11:
      return `${name} ${hex(new Reader(txn).i64())}`;
    default:
      return name;
  }
}

/** A packet in a line. */
export function packetText(packet: Packet): string {
  const name = packetName(packet.type).toUpperCase();
  const head = `${name} ${zxidText(packet.zxid)}`;
  const r = packet.data();
  const data = packet.bytes.subarray(r.at, r.end);
  switch (packet.type) {
    case PacketType.Request: {
      const session = hex(r.i64());
      const cxid = r.i32();
      const op = r.i32();
      const path = op > 0 && op !== 14 ? ` ${r.string()}` : "";
      return `${name} ${opName(op)}${path} of ${session}, cxid ${cxid}`;
    }
    case PacketType.Proposal:
    case PacketType.Inform:
      return `${head} ${txnText(data)}`;
    case PacketType.FollowerInfo:
    case PacketType.ObserverInfo:
      return `${name} of ${r.i64AsNumber()}, accepted ${Math.floor(packet.zxid / 0x1_0000_0000)}`;
    case PacketType.LeaderInfo:
    case PacketType.NewLeader:
      return `${name} of epoch ${Math.floor(packet.zxid / 0x1_0000_0000)}`;
    case PacketType.AckEpoch:
      return `${head}, current ${r.i32()}`;
    case PacketType.Revalidate: {
      const session = hex(r.i64());
      return `${name} ${session}${r.left === 1 ? ` ${r.bool()}` : ""}`;
    }
    case PacketType.Ping: {
      let touched = "";
      for (; r.left >= 12; r.i32()) touched += ` ${hex(r.i64())}`;
      return `${head}${touched}`;
    }
    case PacketType.Sync:
    case PacketType.UpToDate:
      return name;
    default:
      return head;
  }
}

/** One direction of a link cut into lines, whatever pieces it comes in. */
export class Listener {
  #rest: Uint8Array = new Uint8Array(0);
  #snapshotBytes = -1;
  /** The bytes of each packet, beside its line. */
  readonly packets: Bytes[] = [];

  hear(more: Uint8Array): string[] {
    const b = join(this.#rest, more);
    const lines: string[] = [];
    let at = 0;
    while (at < b.length) {
      if (this.#snapshotBytes >= 0) {
        const end = textOf(b, at, b.length).includes(snapshotSignature) ? findEnd(b, at) : -1;
        if (end < 0) break;
        lines.push("(snapshot)");
        this.#snapshotBytes = -1;
        at = end;
        continue;
      }
      const next = packetEnd(b, at, b.length, packetBytesMax);
      if (next < 0) throw new Error(`A packet that can be none at byte ${at}`);
      if (next === 0) break;
      const packet = new Packet();
      packet.at(b, at, next);
      this.packets.push(b.slice(at, next));
      lines.push(packetText(packet));
      if (packet.type === PacketType.Snap) this.#snapshotBytes = 0;
      at = next;
    }
    this.#rest = b.slice(at);
    return lines;
  }
}

function findEnd(b: Uint8Array, from: number): number {
  const mark = new TextEncoder().encode(snapshotSignature);
  for (let at = from; at + mark.length <= b.length; at++) {
    if (mark.every((byte, i) => b[at + i] === byte)) return at + mark.length;
  }
  return -1;
}
