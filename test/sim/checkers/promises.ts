/**
 * Promises: what a member says on a quorum link must be on its disk already (quorum-protocol 4.8).
 *
 * A learner's packets are read as it sends them: its ACKEPOCH says an accepted epoch that is stored,
 * its ACK of NEWLEADER a current epoch that is stored, its ACK of a txn a log that reaches so far.
 * Where runs are judged by what clients and members see alone, nothing of this is looked at.
 */
import { Reader } from "../../../src/core/wire/reader.ts";
import type { Link } from "../../../src/core/zab/link.ts";
import type { Member } from "../member.ts";
import type { QuorumConnection } from "../quorum_connection.ts";
import { hex, hold } from "../violation.ts";
import type { World } from "../world.ts";

const Packet = {
  Ack: 3,
  Ping: 5,
  Request: 1,
  Revalidate: 6,
  FollowerInfo: 11,
  ObserverInfo: 16,
  AckEpoch: 18,
  LeaderInfo: 17,
} as const;
const known: readonly number[] = Object.values(Packet);

const leaderInfoBytes = 24;
const epochUnit = 0x1_0000_0000;

export class Promises {
  readonly #world: World;
  readonly #member: Member;
  readonly #reader = new Reader();

  constructor(world: World, member: Member) {
    this.#world = world;
    this.#member = member;
  }

  sent(_link: Link, connection: QuorumConnection, bytes: Uint8Array): void {
    if (!this.#world.isStrict) return;
    if (connection.learner !== this.#member) return this.#leaderSent(bytes);
    const r = this.#reader;
    r.reset(bytes, 0, bytes.length);
    while (r.left > 0) {
      const type = r.i32();
      const zxid = r.i64AsNumber();
      r.span();
      const ids = r.i32();
      for (let i = 0; i < ids && !r.failed; i++) {
        r.span();
        r.span();
      }
      hold(
        !r.failed && known.includes(type),
        "learners send whole packets",
        () => `${this.#member.sid} sends type ${type}`,
      );
      this.#packet(type, zxid);
    }
  }

  /** LEADERINFO comes alone, so it is known by its length and first word; of the rest nothing is said of disks. */
  #leaderSent(bytes: Uint8Array): void {
    const r = this.#reader;
    r.reset(bytes, 0, bytes.length);
    if (bytes.length !== leaderInfoBytes || r.i32() !== Packet.LeaderInfo) return;
    const epoch = r.i64AsNumber() / epochUnit;
    const { sid, disk } = this.#member;
    hold(
      disk.accepted >= epoch,
      "an epoch is promised before it is offered",
      () => `${sid} offers epoch ${epoch}, stored is ${disk.accepted}`,
    );
  }

  #packet(type: number, zxid: number): void {
    const { sid, disk, isObserver, peer } = this.#member;
    if (type === Packet.AckEpoch) {
      const epoch = peer?.learner?.epoch ?? 0;
      hold(
        disk.accepted >= epoch,
        "an epoch is promised before that is said",
        () => `${sid} promises epoch ${epoch}, stored is ${disk.accepted}`,
      );
    }
    if (type !== Packet.Ack) return;
    if (zxid % epochUnit === 0) {
      hold(
        disk.current >= zxid / epochUnit,
        "an epoch is stored before it is acknowledged",
        () => `${sid} acknowledges ${hex(zxid)}, stored is ${disk.current}`,
      );
    } else if (!isObserver) {
      hold(
        disk.last >= zxid,
        "a txn is durable before it is acknowledged",
        () => `${sid} acknowledges ${hex(zxid)}, the log ends at ${hex(disk.last)}`,
      );
    }
  }
}
