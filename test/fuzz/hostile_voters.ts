/**
 * Hostile voters: what somebody can do who reaches the election port.
 */
import { encodeInitial, encodeNotification, VoterState } from "../../src/core/wire/votes.ts";
import { Writer } from "../../src/core/wire/writer.ts";
import { sleep } from "../support/places.ts";
import type { Random } from "../support/random.ts";
import type { Story, Target } from "./hostile_learners.ts";
import { PeerConnection } from "./peer_connection.ts";

const numbers = [0, 1, 2, 3, -1, 2 ** 31, 2 ** 53, -(2 ** 63), 0x1f_ffff, 0x1f_ffff * 2 ** 32, 77];

function initial(sid: number, text: string, version = -65536, length?: number): Uint8Array {
  const w = new Writer(64);
  w.i64FromNumber(version);
  w.i64FromNumber(sid);
  const bytes = new TextEncoder().encode(text);
  w.i32(length ?? bytes.length);
  w.raw(bytes);
  return w.copy();
}

function framed(bytes: Uint8Array, length = bytes.length): Uint8Array {
  const w = new Writer(64);
  w.i32(length);
  w.raw(bytes);
  return w.copy();
}

function anyVote(random: Random): Uint8Array {
  const config = new TextEncoder().encode(random.pick([
    "version=0",
    "version=ffffffffffff",
    "server.1=evil:1:2:participant\nversion=7fffffff",
    "",
    "garbage \0 \n = =",
  ]));
  const vote = {
    leader: random.pick(numbers),
    zxid: random.pick(numbers),
    round: random.pick(numbers),
    epoch: random.pick(numbers),
  };
  const state = random.below(4) as VoterState;
  const bytes = encodeNotification(state, vote, config).slice();
  switch (random.below(8)) {
    case 0:
      return framed(bytes.slice(0, random.pick([0, 1, 27, 28, 29, 39, 40, 41, 43, 44])));
    case 1:
      bytes[random.below(bytes.length)] = random.below(256);
      return framed(bytes);
    case 2: {
      new DataView(bytes.buffer).setInt32(40, random.pick([-1, -2, 2 ** 31 - 1, 600_000, bytes.length]));
      return framed(bytes);
    }
    case 3:
      new DataView(bytes.buffer).setInt32(0, random.pick([7, -1, 4, 2 ** 31 - 1]));
      return framed(bytes);
    default:
      return framed(bytes);
  }
}

const garbage: Story = async ({ port }, random) => {
  const connection = await PeerConnection.open(port);
  connection.write(random.bytes(1 + random.below(random.percent(10) ? 600_000 : 100)));
  await connection.untilClosed(random.below(30));
  connection.destroy();
  return 1;
};

const wrongInitial: Story = async ({ port }, random) => {
  const connection = await PeerConnection.open(port);
  const [what, bytes] = random.pick<readonly [string, Uint8Array]>([
    ["an address of no bytes", initial(77, "")],
    ["a negative length", initial(77, "x", -65536, -1)],
    ["a length of 2049", initial(77, "x".repeat(2049))],
    ["another version", initial(77, "127.0.0.1:1", -65534)],
    ["another version", initial(77, "127.0.0.1:1", -1)],
  ]);
  connection.write(bytes);
  if (!await connection.untilClosed(5000)) {
    connection.destroy();
    throw new Error(`An initial message with ${what} was not refused`);
  }
  return 1;
};

/** Whoever has the sid of the server that listens is told off; of strangers only so many are kept. */
const anyInitial: Story = async (target, random) => {
  const connection = await PeerConnection.open(target.port);
  connection.write(initialOf(target, random));
  for (let i = random.below(10); i >= 0; i--) connection.write(anyVote(random));
  await connection.untilClosed(random.below(50));
  connection.destroy();
  return 2;
};

function initialOf({ sid, sids }: Target, random: Random): Uint8Array {
  const id = random.pick([sid, 77, 1000 + random.below(1000), 2 ** 62, -5, 0]);
  const text = random.pick([
    "127.0.0.1:1",
    "0.0.0.0:3888",
    "[::1]:1|127.0.0.1:2",
    "|||",
    "no port",
    "host:99999999",
    "a".repeat(2048),
  ]);
  if (random.percent(3)) return initial(random.pick(sids), "127.0.0.1:1");
  const max = new Uint8Array(8).fill(0xff);
  max[0] = 0x7f;
  switch (random.below(5)) {
    case 0:
      // The form of releases before 3.5: a sid alone.
      return initial(0, "").slice(8, 16);
    case 1:
      return max;
    case 2:
      return encodeInitial(77, [{ host: "127.0.0.1", port: 1 }, { host: "::1", port: 2 }], true);
    default:
      return initial(id, text, random.pick([-65536, -65535]));
  }
}

const byteByByte: Story = async ({ port }, random) => {
  const connection = await PeerConnection.open(port);
  for (const byte of initial(88, "127.0.0.1:1")) {
    connection.write(Uint8Array.of(byte));
    await sleep(1);
  }
  for (const byte of anyVote(random)) connection.write(Uint8Array.of(byte));
  await sleep(random.below(20));
  connection.destroy();
  return 2;
};

const votes: Story = async ({ port }, random) => {
  const connection = await PeerConnection.open(port);
  connection.write(initial(random.pick([50, 60, 70]), "127.0.0.1:1"));
  const count = 1 + random.below(300);
  for (let i = 0; i < count && !connection.closed; i++) connection.write(anyVote(random));
  await connection.untilClosed(random.below(50));
  connection.destroy();
  return count;
};

const absurdLength: Story = async ({ port }, random) => {
  const connection = await PeerConnection.open(port);
  connection.write(initial(66, "127.0.0.1:1"));
  await sleep(5);
  const length = random.pick([-1, 0, -(2 ** 31), 2 ** 31 - 1, (512 << 10) + 1]);
  connection.write(framed(new Uint8Array(0), length));
  if (!await connection.untilClosed(5000)) {
    connection.destroy();
    throw new Error(`A notification with a length of ${length} was not refused`);
  }
  return 2;
};

/** Comes as a real member and says that all is lost. */
const impostor: Story = async ({ port, sids }, random) => {
  const connection = await PeerConnection.open(port);
  connection.write(initial(random.pick(sids), "127.0.0.1:1"));
  for (let i = 0; i < 20; i++) connection.write(anyVote(random));
  await connection.untilClosed(100);
  connection.destroy();
  return 21;
};

const many: Story = async ({ port }, random) => {
  const count = 50 + random.below(300);
  const connections = await Promise.all(
    Array.from({ length: count }, () => PeerConnection.open(port).catch(() => null)),
  );
  for (const connection of connections) {
    if (random.percent(30)) connection?.write(random.bytes(1 + random.below(19)));
  }
  for (const connection of connections) connection?.destroy();
  return count;
};

export const hostileVoters: readonly (readonly [number, Story])[] = [
  [20, garbage],
  [10, wrongInitial],
  [30, anyInitial],
  [5, byteByByte],
  [15, votes],
  [10, absurdLength],
  [3, impostor],
  [3, many],
];
