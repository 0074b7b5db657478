/**
 * Hostile leader: a server that says that it leads, and then says anything.
 *
 * It plays members 2 and 3 of three towards member 1: both tell it on its election port that 3 leads,
 * and who then dials the quorum port of 3 meets one of the stories below.
 */
import { createServer, type Server, type Socket } from "node:net";
import { encodeInitial, encodeNotification, VoterState } from "../../src/core/wire/votes.ts";
import { PacketType } from "../../src/core/wire/packets.ts";
import { Writer } from "../../src/core/wire/writer.ts";
import { SnapshotWriter } from "../../src/core/zab/snapshot_writer.ts";
import { sleep } from "../support/places.ts";
import type { Random } from "../support/random.ts";
import { Side } from "../core/zab/history.ts";
import {
  type Bytes,
  bytes,
  commit,
  createTxn,
  diff,
  join,
  leaderInfo,
  newLeader,
  packet,
  proposal,
  revalidated,
  snap,
  sync,
  trunc,
  upToDate,
  z,
} from "../core/zab/told.ts";
import { PeerConnection } from "./peer_connection.ts";

/** What is said on one connection, piece by piece; null waits for whatever the learner says next. */
type Speech = Generator<Uint8Array | null, void, void>;
type LeaderStory = (random: Random, epoch: number) => Speech;

function snapshot(random: Random, znodes: number): Bytes {
  const side = new Side();
  side.tree.makeReserved();
  for (let i = 0; i < znodes; i++) side.apply(createTxn(z(1, i + 1), `/s${i}`));
  const w = new Writer();
  new SnapshotWriter(side.tree, side.sessions, z(1, znodes + 1)).fill(w, Infinity);
  const all = w.copy();
  if (random.percent(50)) return all;
  for (let bends = 1 + random.below(3); bends > 0; bends--) all[random.below(all.length)] = random.below(256);
  return all;
}

function anyPacket(random: Random, epoch: number): Uint8Array {
  const zxid = random.pick([0, -1, z(epoch, 0), z(epoch, 1), z(epoch, random.below(9)), 2 ** 62, -(2 ** 63)]);
  switch (random.below(9)) {
    case 0:
      return proposal(createTxn(z(epoch, 1 + random.below(5)), "/x"));
    case 1:
      return packet(PacketType.Proposal, zxid, random.bytes(random.below(100)));
    case 2:
      return commit(zxid);
    case 3:
      return packet(random.below(22), zxid, random.bytes(random.below(40)));
    case 4:
      return random.pick([sync, upToDate, newLeader(epoch), trunc(z(1, 1)), snap(zxid), diff(zxid)]);
    case 5:
      return revalidated(BigInt(random.u32()), random.percent(50));
    case 6:
      return packet(random.u32() | 0, zxid);
    case 7:
      return random.bytes(1 + random.below(60));
    default:
      return packet(PacketType.Ping, zxid);
  }
}

const head = (type: number, length: number) =>
  bytes((w) => {
    w.i32(type);
    w.i64FromNumber(0);
    w.i32(length);
  });

const stories: readonly (readonly [number, string, LeaderStory])[] = [
  [4, "garbage", function* (random) {
    yield random.bytes(1 + random.below(random.percent(20) ? 100_000 : 100));
  }],
  [3, "a length that can be none", function* (random) {
    yield head(PacketType.LeaderInfo, random.pick([-2, -(2 ** 31), 2 ** 31 - 1, (2 << 20) + 3]));
  }],
  [4, "another first packet", function* (random, epoch) {
    yield anyPacket(random, epoch);
  }],
  [3, "an epoch that can be none", function* (random) {
    yield packet(
      PacketType.LeaderInfo,
      random.pick([0, -1, z(0x20_0000, 0), 2 ** 62, z(3, 5)]),
      random.bytes(4),
    );
  }],
  [8, "anything where DIFF is due", function* (random, epoch) {
    yield null;
    yield leaderInfo(epoch);
    yield null;
    for (let i = random.below(5); i >= 0; i--) yield anyPacket(random, epoch);
  }],
  [8, "a snapshot that is bent or ends in the middle", function* (random, epoch) {
    yield null;
    yield leaderInfo(epoch);
    yield null;
    const stream = snapshot(random, random.below(200));
    yield snap(z(epoch, 3));
    yield stream.slice(0, random.percent(50) ? stream.length : random.below(stream.length));
    if (random.percent(50)) yield newLeader(epoch);
  }],
  [2, "a snapshot of sessions without end", function* (random, epoch) {
    yield null;
    yield leaderInfo(epoch);
    yield null;
    yield join(snap(z(epoch, 3)), bytes((w) => w.i32(random.percent(50) ? 2 ** 31 - 1 : 1 << 20)));
    for (let i = 0; i < 20; i++) yield random.bytes(64 << 10);
  }],
  [1, "a snapshot of znodes without end", function* (random, epoch) {
    yield null;
    yield leaderInfo(epoch);
    yield null;
    const all = snapshot(random, 20);
    yield join(snap(z(epoch, 3)), all.slice(0, 8));
    for (let i = 0; i < 100; i++) {
      yield bytes((w) => {
        for (let k = 0; k < 50; k++) {
          w.string(`/e${i}-${k}`);
          w.buffer(random.bytes(1000));
          w.i64(-1n);
          w.raw(new Uint8Array(60));
        }
      });
    }
  }],
  [2, "one znode of two gigabytes", function* (random, epoch) {
    yield null;
    yield leaderInfo(epoch);
    yield null;
    yield join(
      snap(z(epoch, 3)),
      bytes((w) => {
        w.i32(0);
        w.i32(0);
        w.string("");
        w.i32(2 ** 31 - 1);
      }),
    );
    for (let i = 0; i < 50; i++) yield random.bytes(64 << 10);
  }],
  [8, "anything behind NEWLEADER", function* (random, epoch) {
    yield null;
    yield leaderInfo(epoch);
    yield null;
    yield join(diff(0), newLeader(random.percent(90) ? epoch : epoch + 1));
    if (random.percent(70)) yield null;
    for (let i = random.below(10); i >= 0; i--) yield anyPacket(random, epoch);
  }],
  // Whoever is disappointed often pauses; this one it can follow, for a moment.
  [20, "a right beginning, then anything", function* (random, epoch) {
    yield null;
    yield leaderInfo(epoch);
    yield null;
    yield join(diff(0), newLeader(epoch));
    yield null;
    yield upToDate;
    for (let i = random.below(10); i >= 0; i--) yield anyPacket(random, epoch);
  }],
  [3, "TRUNC to anywhere", function* (random, epoch) {
    yield null;
    yield leaderInfo(epoch);
    yield null;
    yield trunc(random.pick([0, -1, z(0, 1), z(1, 1), z(epoch, 0), 2 ** 62]));
    yield newLeader(epoch);
  }],
  [3, "silence", function* (random, epoch) {
    yield null;
    if (random.percent(50)) yield leaderInfo(epoch);
    yield null;
    yield null;
  }],
];

export class HostileLeader {
  readonly #random: Random;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #voters: PeerConnection[] = [];
  readonly #electionPort: number;
  readonly #epochBase: number;
  connections = 0;
  pieces = 0;
  /** How often each story was told. */
  readonly told = new Map<string, number>();
  #stopped = false;
  readonly #lobby: Promise<void>;

  private constructor(server: Server, random: Random, electionPort: number, epochBase: number) {
    this.#server = server;
    this.#random = random;
    this.#electionPort = electionPort;
    this.#epochBase = epochBase;
    server.on("connection", (socket) => void this.#serve(socket));
    this.#lobby = this.#electOnAndOn();
  }

  static start(
    quorumPort: number,
    electionPort: number,
    random: Random,
    epochBase = 1,
  ): Promise<HostileLeader> {
    return new Promise((resolve, reject) => {
      const server = createServer();
      server.once("error", reject);
      server.listen(quorumPort, "127.0.0.1", () => {
        resolve(new HostileLeader(server, random, electionPort, epochBase));
      });
    });
  }

  /** As 2 and 3 in turn, again and again: it looks for a leader after each disappointment. */
  async #electOnAndOn(): Promise<void> {
    const config = new TextEncoder().encode("version=0");
    while (!this.#stopped) {
      for (const sid of [2, 3]) {
        const at = sid - 2;
        try {
          if (this.#voters[at] === undefined || this.#voters[at].closed) {
            this.#voters[at] = await PeerConnection.open(this.#electionPort, 1000);
            this.#voters[at].write(encodeInitial(sid, [{ host: "127.0.0.1", port: 1 }], false).slice());
          }
          const state = sid === 3 ? VoterState.Leading : VoterState.Following;
          const vote = encodeNotification(
            state,
            { leader: 3, zxid: 0, round: 1, epoch: this.#epochBase },
            config,
          );
          this.#voters[at].write(bytes((w) => w.buffer(vote)));
        } catch {
          // It may not listen yet.
        }
      }
      await sleep(10);
    }
  }

  async #serve(socket: Socket): Promise<void> {
    this.#sockets.add(socket);
    this.connections++;
    let heard = 0;
    let closed = false;
    socket.on("data", (chunk: Uint8Array) => heard += chunk.length);
    socket.on("error", () => {});
    socket.on("close", () => {
      closed = true;
      this.#sockets.delete(socket);
    });
    const random = this.#random;
    let at = random.below(stories.reduce((sum, [weight]) => sum + weight, 0));
    const [, name, story] = stories.find(([weight]) => (at -= weight) < 0) as (typeof stories)[number];
    this.told.set(name, (this.told.get(name) ?? 0) + 1);
    // Rarely a new epoch: it is promised for ever.
    const epoch = this.#epochBase + Math.floor(this.connections / 20);
    for (const piece of story(random, epoch)) {
      if (closed) break;
      if (piece === null) {
        const before = heard;
        for (let i = 0; i < 20 && heard === before && !closed; i++) await sleep(2);
        continue;
      }
      this.pieces++;
      if (random.percent(20)) {
        const cut = random.below(piece.length);
        socket.write(piece.slice(0, cut));
        await sleep(1);
        socket.write(piece.slice(cut));
      } else socket.write(piece);
      while (socket.writableLength > 1 << 20 && !closed) await sleep(1);
    }
    for (let i = random.below(15); i > 0 && !closed; i--) await sleep(2);
    socket.destroy();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#lobby;
    for (const voter of this.#voters) voter.destroy();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
