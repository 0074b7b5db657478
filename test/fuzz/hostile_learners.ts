/**
 * Hostile learners: what somebody can do who reaches the quorum port of a leader.
 *
 * Each story opens connections, does its worst and is gone; it returns how many packets that were. A
 * story that expects to be cut off throws where it is not.
 */
import { PacketType } from "../../src/core/wire/packets.ts";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import { Writer } from "../../src/core/wire/writer.ts";
import { createBody, pathBody } from "../support/bodies.ts";
import { sleep } from "../support/places.ts";
import type { Random } from "../support/random.ts";
import {
  ack,
  ackEpoch,
  type Bytes,
  followerInfo,
  join,
  observerInfo,
  packet,
  ping,
  request,
  revalidate,
  touches,
  z,
} from "../core/zab/told.ts";
import { PeerConnection } from "./peer_connection.ts";

export interface Target {
  readonly port: number;
  /** Sid of the server that listens there. */
  readonly sid: number;
  /** Of the others. */
  readonly sids: readonly number[];
}

export type Story = (target: Target, random: Random) => Promise<number>;

const lengths = [-2, -1, 0, 1, 2 ** 31 - 1, -(2 ** 31), 1 << 20, (2 << 20) + 3, 4097, 100];
const zxids = [0, -1, 1, z(1, 0), z(1, 1), z(0x1f_ffff, 7), 2 ** 62, -(2 ** 63), z(2, 0xffff_ffff)];
const strangerSid = (random: Random) =>
  random.pick([0, 77, 1000 + random.below(1000), -1, 2 ** 53, -(2 ** 63)]);

/** A packet that is right but for one thing. */
function bent(random: Random, right: Uint8Array): Uint8Array {
  const bytes = right.slice();
  for (let bends = 1 + random.below(3); bends > 0; bends--) {
    bytes[random.below(bytes.length)] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)]);
  }
  return random.percent(30) ? bytes.slice(0, random.below(bytes.length)) : bytes;
}

function headOf(type: number, zxid: number, length: number): Bytes {
  const w = new Writer(16);
  w.i32(type);
  w.i64FromNumber(zxid);
  w.i32(length);
  return w.copy();
}

function anyPacket(random: Random): Uint8Array {
  const session = BigInt(random.u32()) << 24n;
  const type = random.percent(80) ? random.below(22) : random.u32() | 0;
  const zxid = random.percent(50) ? random.pick(zxids) : z(random.below(4), random.below(50));
  switch (random.below(8)) {
    case 0:
      return packet(type, zxid, random.bytes(random.below(200)));
    case 1:
      return packet(type, zxid);
    case 2:
      return request(session, random.below(100), random.u32() | 0, random.bytes(random.below(300)));
    case 3:
      return request(session, 1, OpCode.Create, bent(random, createBody("/fuzz-x", random.bytes(40))));
    case 4:
      return ping(zxid, random.percent(50) ? touches(session, session + 1n) : random.bytes(random.below(40)));
    case 5:
      return revalidate(session);
    case 6:
      return bent(random, request(session, 3, OpCode.Multi, random.bytes(random.below(200))));
    default:
      return ack(zxid);
  }
}

async function closedBy(connection: PeerConnection, what: string, ms = 5000): Promise<void> {
  if (!await connection.untilClosed(ms)) {
    connection.destroy();
    throw new Error(`${what} was not cut off within ${ms} ms`);
  }
}

/** Goes through discovery as an observer that nobody knows. Null: it was turned away on the way. */
async function joined(target: Target, random: Random, zxid = 0): Promise<PeerConnection | null> {
  const connection = await PeerConnection.open(target.port);
  connection.write(observerInfo(1000 + random.below(100_000), 0));
  if (!await connection.untilBytes(24)) {
    connection.destroy();
    return null;
  }
  connection.write(ackEpoch(0, zxid));
  await connection.untilBytes(44);
  return connection;
}

/** The epoch that LEADERINFO told. */
function epochOf(connection: PeerConnection): number {
  const view = new DataView(connection.received.buffer, connection.received.byteOffset);
  return connection.received.length >= 8 ? view.getInt32(4) : 0;
}

const garbage: Story = async ({ port }, random) => {
  const connection = await PeerConnection.open(port);
  connection.write(random.bytes(1 + random.below(random.percent(10) ? 200_000 : 200)));
  await connection.untilClosed(random.below(30));
  connection.destroy();
  return 1;
};

const absurdLength: Story = async ({ port }, random) => {
  const connection = await PeerConnection.open(port);
  const length = random.pick([-2, -(2 ** 31), 2 ** 31 - 1, (2 << 20) + 3, 4097]);
  connection.write(headOf(random.pick([PacketType.FollowerInfo, PacketType.ObserverInfo, 3]), 0, length));
  await closedBy(connection, `a packet with a length of ${length}`);
  return 1;
};

const wrongFirst: Story = async ({ port }, random) => {
  const connection = await PeerConnection.open(port);
  const type = random.pick([-1, 0, 1, 2, 3, 5, 10, 12, 15, 17, 18, 20, 99, 2 ** 31 - 1]);
  connection.write(packet(type, random.pick(zxids), random.percent(50) ? random.bytes(20) : null));
  await closedBy(connection, `a first packet of type ${type}`);
  return 1;
};

const bentFirst: Story = async ({ port }, random) => {
  const connection = await PeerConnection.open(port);
  const bytes = bent(random, random.pick([followerInfo, observerInfo])(strangerSid(random), random.below(3)));
  connection.write(bytes);
  await sleep(random.below(20));
  if (random.percent(50)) connection.end();
  await connection.untilClosed(random.below(50));
  connection.destroy();
  return 1;
};

const twin: Story = async ({ port, sid }, random) => {
  const connection = await PeerConnection.open(port);
  connection.write(random.pick([followerInfo, observerInfo])(sid, 0));
  await closedBy(connection, "somebody with the leader's own sid");
  return 1;
};

/** Observers that nobody gave a number may have the same; followers may not. */
const sidTwice: Story = async (target, random) => {
  const sid = 500 + random.below(100);
  const first = await PeerConnection.open(target.port);
  first.write(followerInfo(sid));
  await first.untilBytes(24);
  const second = await PeerConnection.open(target.port);
  second.write(followerInfo(sid));
  await second.untilBytes(24);
  second.write(ackEpoch(0, 0));
  await closedBy(first, "the first of two with one sid");
  second.destroy();
  return 2;
};

/** Takes a real follower's place for a moment; it has to come back by itself. */
const impostor: Story = async (target, random) => {
  const connection = await PeerConnection.open(target.port);
  connection.write(followerInfo(random.pick(target.sids)));
  await connection.untilBytes(24);
  connection.write(random.percent(50) ? ackEpoch(99, z(99, 99)) : random.bytes(24));
  await connection.untilClosed(100);
  connection.destroy();
  await sleep(1000);
  return 2;
};

const farEpoch: Story = async ({ port }, random) => {
  const connection = await PeerConnection.open(port);
  const accepted = random.pick([0x1f_ffff, 0x1f_fffe, 0x7fff_ffff, 1 << 20]);
  connection.write(random.pick([followerInfo, observerInfo])(1000 + random.below(9), accepted));
  await closedBy(connection, `somebody who accepted epoch ${accepted}`);
  return 1;
};

/** Says to be a real follower that promised a later epoch to another leader. */
const promiser: Story = async ({ port, sids }, random) => {
  const connection = await PeerConnection.open(port);
  connection.write(followerInfo(random.pick(sids), random.pick([2, 7, 100, 4000, 65_000, 0x1f_ffff])));
  await connection.untilBytes(24, 20);
  connection.destroy();
  return 1;
};

const wrongAckEpoch: Story = async ({ port }, random) => {
  const connection = await PeerConnection.open(port);
  connection.write(observerInfo(1000 + random.below(9)));
  await connection.untilBytes(24);
  connection.write(
    random.pick([
      () => packet(PacketType.AckEpoch, 0),
      () => packet(PacketType.AckEpoch, 0, random.bytes(3)),
      () => anyPacket(random),
      () => bent(random, ackEpoch(1, z(1, 1))),
      () => headOf(PacketType.AckEpoch, 0, random.pick(lengths)),
    ])(),
  );
  await connection.untilClosed(random.below(50));
  connection.destroy();
  return 2;
};

/** Asks for everything from any place, and goes away in the middle of it. */
const syncAndLeave: Story = async (target, random) => {
  const zxid = random.percent(50) ? random.pick(zxids) : z(random.below(3), random.below(200));
  const connection = await joined(target, random, zxid);
  await connection?.untilBytes(44 + random.below(5000), 100);
  connection?.destroy();
  return 2;
};

/** Asks for everything, says all that is due, and reads nothing. */
const syncAndSleep: Story = async (target, random) => {
  const connection = await PeerConnection.open(target.port);
  connection.pause();
  connection.write(join(observerInfo(1000 + random.below(100_000)), new Uint8Array(0)));
  await sleep(20);
  connection.write(ackEpoch(0, random.pick([0, -1, z(0, 5)])));
  await sleep(100 + random.below(1000));
  connection.destroy();
  return 2;
};

/** Many at once that ask for the history and read none of it. */
const sleepers: Story = async ({ port }, random) => {
  const count = 20 + random.below(40);
  const connections = await Promise.all(
    Array.from({ length: count }, () => PeerConnection.open(port).catch(() => null)),
  );
  for (const connection of connections) {
    connection?.pause();
    connection?.write(observerInfo(1000 + random.below(100_000)));
  }
  await sleep(50);
  for (const connection of connections) connection?.write(ackEpoch(0, z(1, 1)));
  await sleep(random.below(300));
  for (const connection of connections) connection?.destroy();
  return 2 * count;
};

const notTheAck: Story = async (target, random) => {
  const connection = await joined(target, random);
  if (connection === null) return 1;
  const epoch = epochOf(connection);
  for (let i = random.below(20); i >= 0 && !connection.closed; i--) {
    connection.write(random.percent(30) ? ack(z(epoch, 1 + random.below(100))) : anyPacket(random));
  }
  await connection.untilClosed(random.below(50));
  connection.destroy();
  return 3;
};

/** An observer in good standing that then says anything. */
const active: Story = async (target, random) => {
  const connection = await joined(target, random);
  if (connection === null) return 1;
  const epoch = epochOf(connection);
  connection.write(ack(z(epoch, 0)));
  await sleep(5);
  let packets = 3;
  for (let i = random.below(300); i >= 0 && !connection.closed; i--) {
    connection.write(random.percent(5) ? bent(random, anyPacket(random)) : anyPacket(random));
    packets++;
    if (packets % 50 === 0) await sleep(1);
  }
  await connection.untilClosed(random.below(50));
  connection.destroy();
  return packets;
};

/** Requests that are as long as they may be, and one that is longer. */
const longRequests: Story = async (target, random) => {
  const connection = await joined(target, random);
  if (connection === null) return 1;
  connection.write(ack(z(epochOf(connection), 0)));
  await sleep(5);
  for (let i = 0; i < 4; i++) {
    connection.write(request(7n, 1, random.pick([1, 5, 14, 16]), random.bytes(900_000)));
  }
  connection.write(headOf(PacketType.Request, -1, (2 << 20) + 3));
  await closedBy(connection, "a request of more than two megabytes");
  return 7;
};

const many: Story = async ({ port }, random) => {
  const count = 50 + random.below(150);
  const connections = await Promise.all(
    Array.from({ length: count }, () => PeerConnection.open(port).catch(() => null)),
  );
  for (const connection of connections) {
    if (random.percent(30)) connection?.write(random.bytes(1 + random.below(39)));
  }
  for (const connection of connections) connection?.destroy();
  return count;
};

/** A byte now and then, on several connections. */
const slowLoris: Story = async ({ port }, random) => {
  const connections = await Promise.all(Array.from({ length: 10 }, () => PeerConnection.open(port)));
  const info = observerInfo(1000 + random.below(1000));
  for (let i = 0; i < 30; i++) {
    for (const connection of connections) connection.write(info.slice(i, i + 1));
    await sleep(random.below(10));
  }
  for (const connection of connections) connection.destroy();
  return connections.length;
};

const syncFlood: Story = async (target, random) => {
  const connection = await joined(target, random);
  if (connection === null) return 1;
  connection.write(ack(z(epochOf(connection), 0)));
  await sleep(5);
  const count = 1 + random.below(2000);
  const one = request(7n, 1, OpCode.Sync, pathBody("/"));
  for (let i = 0; i < count; i++) connection.write(one);
  await connection.untilBytes(connection.receivedBytes + 20, 100);
  connection.destroy();
  return count;
};

export const hostileLearners: readonly (readonly [number, Story])[] = [
  [20, garbage],
  [10, absurdLength],
  [10, wrongFirst],
  [20, bentFirst],
  [3, twin],
  [3, sidTwice],
  [1, impostor],
  [3, farEpoch],
  [20, promiser],
  [10, wrongAckEpoch],
  [10, syncAndLeave],
  [4, syncAndSleep],
  [1, sleepers],
  [10, notTheAck],
  [20, active],
  [1, longRequests],
  [3, many],
  [2, slowLoris],
  [3, syncFlood],
];
