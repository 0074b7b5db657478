/**
 * Learner link: one learner as its leader sees it, from its first packet to its last.
 *
 * ```
 *  info ──FOLLOWERINFO──► epoch ──LEADERINFO──► ackEpoch ──ACKEPOCH──► waiting ──┐ a quorum has
 *   ▲ accepted             a quorum must be there                                │ answered
 *   │                                                                            ▼
 *  active ◄──UPTODATE── newLeader ◄──NEWLEADER── sync: DIFF, TRUNC or SNAP, then what came since
 *           leader is established   └─ from here on it is `live` and gets each proposal
 * ```
 */
import { LatencyHistogram } from "../base/histogram.ts";
import { Packet, packetEnd } from "../wire/packets.ts";
import { JoinedBytes } from "./joined_bytes.ts";
import type { Link } from "./link.ts";
import type { SnapshotWriter } from "./snapshot_writer.ts";

export type LearnerPhase = "info" | "epoch" | "ackEpoch" | "waiting" | "sync" | "newLeader" | "active";
export type SyncKind = "diff" | "trunc" | "snap";

export class LearnerLink {
  readonly link: Link;
  readonly openedMs: number;
  phase: LearnerPhase = "info";
  sid = 0;
  observer = false;
  /** Counted in quorums. */
  voting = false;
  epochAccepted = 0;
  /** As its ACKEPOCH told. */
  zxidOwn = 0;
  /** It gets every proposal (a follower) or every commit (an observer). */
  live = false;
  /** Everything up to here is durable on it. A NEWLEADER that was acknowledged covers all of the initial history. */
  acked = 0;
  /** The last txn that was sent to it. */
  sent = 0;
  newLeaderAcked = false;
  heardMs: number;
  readonly input = new JoinedBytes();

  syncKind: SyncKind | null = null;
  syncStartedMs = 0;
  syncMs = 0;
  walk: SnapshotWriter | null = null;
  /** Reading the log for it; the number of the read, or 0. */
  read = 0;
  /** It is counted among the long syncs that run at once. */
  throttled: "snap" | "diff" | null = null;

  /** A proposal that it has not acknowledged, and since when: too long, and it is cut off. */
  lateZxid = 0;
  lateMs = 0;
  /** Since UPTODATE each ping is answered once, in order. */
  pingsSent = 0;
  pingsAnswered = 0;

  // For operators.
  packetsReceived = 0;
  packetsSent = 0;
  requests = 0;
  readonly ackTimes = new LatencyHistogram();
  /** One proposal at a time is timed until it is acknowledged. */
  #timedZxid = 0;
  #timedMs = 0;
  readonly #packet = new Packet();

  constructor(link: Link, monoMs: number) {
    this.link = link;
    this.openedMs = this.heardMs = monoMs;
  }

  get name(): string {
    return `${this.observer ? "observer" : "follower"} ${this.sid} at ${this.link.remote}`;
  }

  /**
   * What came from it, cut anywhere: `hear` is told each packet that is whole, until it says false or
   * closes the link. Returns what is wrong with bytes that are no packet, else null.
   */
  receive(
    bytes: Uint8Array,
    start: number,
    end: number,
    monoMs: number,
    packetBytesMax: number,
    hear: (learner: LearnerLink, packet: Packet) => boolean,
  ): string | null {
    this.heardMs = monoMs;
    const { input } = this;
    input.join(bytes, start, end);
    while (input.at < input.end) {
      const next = packetEnd(input.bytes, input.at, input.end, packetBytesMax);
      if (next === 0) break;
      if (next < 0) return `a packet is longer than ${packetBytesMax} bytes, or none at all`;
      this.#packet.at(input.bytes, input.at, next);
      this.packetsReceived++;
      if (!hear(this, this.#packet) || this.link.closed) return null;
      input.at = next;
    }
    input.keep();
    return null;
  }

  /** A proposal leaves for it now. */
  proposed(zxid: number, monoMs: number): void {
    this.sent = zxid;
    this.packetsSent++;
    if (this.#timedZxid !== 0) return;
    this.#timedZxid = zxid;
    this.#timedMs = monoMs;
  }

  acknowledged(zxid: number, monoMs: number): void {
    this.acked = zxid;
    if (this.#timedZxid === 0 || zxid < this.#timedZxid) return;
    this.ackTimes.record(monoMs - this.#timedMs);
    this.#timedZxid = 0;
  }
}
