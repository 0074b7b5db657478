/**
 * Learner: a follower's or an observer's side of following. quorum-protocol 4.4, 4.7, 5.
 *
 * ```
 *  dial ──FOLLOWERINFO──► discovery ──LEADERINFO: promise durable, ACKEPOCH──► sync
 *     DIFF · TRUNC · SNAP, then txns: all into the log, none into the tree
 *  ──NEWLEADER: log, then epoch durable, ACK──► acknowledged ──UPTODATE: all of it applied──► broadcast
 * ```
 *
 * Until UPTODATE nobody knows whether the leader got its quorum, so what it sent is kept in the log
 * and not applied: a truncation by the next leader then never has to undo anything. Only a snapshot
 * fills the tree before that; when its leader fails, memory and disk are `provisional`.
 *
 * Always true: an epoch is promised only when the promise is durable; NEWLEADER is acknowledged only
 * when everything before it is; each ACK is sent after its txn is durable, in order, and the ACK of
 * NEWLEADER before all others (quorum-protocol 3.3).
 */
import { assert } from "../base/assert.ts";
import type { Lengths } from "../base/limits.ts";
import { counterOf, epochOf, type Zxid, zxidHex, zxidOf } from "../base/zxid.ts";
import type { Id } from "../wire/records.ts";
import {
  beginPacket,
  endPacket,
  Packet,
  packetEnd,
  packetName,
  PacketType,
  quorumProtocolVersion,
  writeLearnerInfo,
  writePacket,
} from "../wire/packets.ts";
import { isTxnType, txnHeaderAt } from "../wire/txns.ts";
import { SnapshotReader } from "./snapshot_reader.ts";
import type { SessionTable } from "../session/table.ts";
import type { Tree } from "../tree/tree.ts";
import type { DiskCommand } from "./disk.ts";
import type { EnsembleOptions } from "./ensemble.ts";
import { JoinedBytes } from "./joined_bytes.ts";
import type { Ledger } from "./ledger.ts";
import type { Link, LinkOutbox } from "./link.ts";
import type { SyncKind } from "./learner_link.ts";

/** What a learner needs of the peer around it. */
export interface LearnerHost {
  readonly outbox: LinkOutbox;
  readonly ledger: Ledger;
  readonly tree: Tree;
  readonly sessions: SessionTable;
  readonly ensemble: EnsembleOptions;
  readonly tickMs: number;
  readonly lengths: Lengths;
  store(command: DiskCommand, then: () => void): void;
  storeEpochs(accepted: number, current: number, then: () => void): void;
  /** A snapshot is about to take the place of everything in memory. */
  clearing(): void;
  /** The snapshot is whole: tree and sessions are as of this zxid. */
  replaced(zxid: Zxid): void;
  /** What is accepted from now on waits for `storeReplacement`. */
  holdLog(): void;
  /** A snapshot, and what was accepted since, takes the place of table and log in one moment. */
  storeReplacement(zxid: Zxid): void;
  /** The leader is established and we are level with it: apply what is committed, and serve. */
  followed(epoch: number, committed: Zxid): void;
  /** As the leader told it, in so many packets. */
  commit(zxid: Zxid, packets: number): void;
  /** The txn that commits next changes the members, and this (8 bytes) is who is to lead them: for observers behind us. */
  activates(zxid: number, designated: Uint8Array): void;
  /** The leader's answer to the oldest sync that was forwarded. */
  synced(): void;
  revalidated(hi: number, lo: number, valid: boolean): void;
  /** Sessions heard since this was asked last: told `hi, lo, timeoutMs` each. */
  touched(tell: (hi: number, lo: number, timeoutMs: number) => void): void;
  /** The leader wants a cut that this log can't make: below what is committed here, or where there is no txn. */
  cannotCut(isCommitted: boolean): void;
  /** This leader is lost to us. */
  lost(reason: string): void;
}

export type LearnerPhase = "dial" | "discovery" | "sync" | "snapshot" | "acknowledged" | "broadcast";

/** Rows of a snapshot that go to the disk at once. */
const rowsBytes = 512 << 10;
/** Commands for the disk that may wait while a snapshot comes in; more, and the link is paused. */
const rowsWaitingMax = 4;

export class Learner {
  readonly leader: number;
  /** On whom we hang: the leader, or the follower that serves us in its place. */
  master: number;
  phase: LearnerPhase = "dial";
  link: Link | null = null;
  /** The epoch that the leader told. */
  epoch = 0;
  syncKind: SyncKind | null = null;
  packetsReceived = 0;
  packetsSent = 0;
  readonly startedMs: number;
  syncMs = 0;
  readonly #host: LearnerHost;
  readonly #observer: boolean;
  readonly #packet = new Packet();
  #epochAccepted: number;
  readonly #epochCurrent: number;
  readonly #input = new JoinedBytes();
  #snapshot: SnapshotReader | null = null;
  #snapshotZxid = 0 as Zxid;
  #rowsWaiting = 0;
  /** The snapshot is whole in memory and is stored with what comes behind it. */
  #replacementWaits = false;
  /** Where our own log ended before. */
  #ownLast = 0 as Zxid;
  #newLeaderHeard = false;
  #newLeaderAcked = false;
  #upToDate = false;
  /** Commits that came with what is being read: they are carried out together, once, behind it. */
  #commitsUpTo = 0;
  #commits = 0;
  /** The last commit that came before UPTODATE. */
  #committed: Zxid;
  /** The end of the leader's history, as DIFF or TRUNC told. */
  #level = 0;
  /** Everything up to here was acknowledged. */
  #acked = 0;
  #heardMs: number;
  #nowMs: number;
  #ended = false;
  /** We asked to be given everything, because what we have can't be cut where the leader wants it. */
  readonly #fromNothing: boolean;

  constructor(
    host: LearnerHost,
    leader: number,
    epochs: { readonly accepted: number; readonly current: number },
    monoMs: number,
    fromNothing: boolean,
  ) {
    this.#host = host;
    this.leader = this.master = leader;
    this.#observer = host.ensemble.observer;
    this.#epochAccepted = epochs.accepted;
    this.#epochCurrent = epochs.current;
    this.#fromNothing = fromNothing;
    this.startedMs = this.#heardMs = this.#nowMs = monoMs;
    this.#committed = host.ledger.committed;
  }

  get #initMs(): number {
    return this.#host.ensemble.initLimit * this.#host.tickMs;
  }

  get #syncMs(): number {
    return this.#host.ensemble.syncLimit * this.#host.tickMs;
  }

  /** The connection to the leader is there. */
  dialed(link: Link, monoMs: number, sid: number = this.leader): void {
    assert(this.phase === "dial", "a leader is dialed once");
    this.link = link;
    this.master = sid;
    this.phase = "discovery";
    this.#heardMs = this.#nowMs = monoMs;
    const { ensemble, outbox } = this.#host;
    writeLearnerInfo(
      link.out,
      this.#observer ? PacketType.ObserverInfo : PacketType.FollowerInfo,
      this.#epochAccepted,
      { sid: ensemble.sid, protocolVersion: quorumProtocolVersion, configVersion: ensemble.configVersion },
    );
    outbox.touchLink(link);
  }

  closed(number: number): void {
    if (this.#ended || this.link?.number !== number) return;
    this.link.closed = true;
    this.#host.lost(`${this.#above} closed the link`);
  }

  get #above(): string {
    if (this.master === this.leader) return `the leader, server ${this.leader},`;
    return `server ${this.master}, which stands between us and the leader, server ${this.leader},`;
  }

  #fail(event: string, reason: string): void {
    if (this.#ended) return;
    this.#host.outbox.note("warn", event, `Leaving the leader, server ${this.leader}: ${reason}`, {
      leader: this.leader,
    });
    this.#host.lost(reason);
  }

  /** Nothing of this leader is wanted any more. True: memory was left half-filled by its snapshot. */
  end(): boolean {
    this.#ended = true;
    const { link } = this;
    if (link !== null && !link.closed) {
      link.closed = true;
      this.#host.outbox.linksClosing.push(link);
    }
    this.#input.drop();
    return this.#snapshot !== null || this.#replacementWaits;
  }

  tick(monoMs: number): void {
    this.#nowMs = monoMs;
    const limitMs = this.#newLeaderHeard ? this.#syncMs : this.#initMs;
    if (monoMs - this.#heardMs <= limitMs) return;
    // What the leader sends waits in our own kernel while we do not read.
    if (this.link?.paused === true) return;
    this.#fail(
      "leader_silent",
      this.phase === "dial"
        ? `it could not be reached for ${Math.round(monoMs - this.#heardMs)} ms`
        : `nothing was heard for ${Math.round(monoMs - this.#heardMs)} ms`,
    );
  }

  // --------------------------------------------------------------------------------------- stream

  bytes(number: number, bytes: Uint8Array, start: number, end: number, monoMs: number): void {
    this.#nowMs = monoMs;
    if (this.#ended || this.link?.number !== number) return;
    this.#heardMs = monoMs;
    const { leaderPacketBytesMax } = this.#host.lengths;
    const input = this.#input;
    input.join(bytes, start, end);
    while (input.at < input.end) {
      if (this.#snapshot !== null) {
        input.at = this.#readSnapshot(input.bytes, input.at, input.end);
        if (this.#ended) return;
        continue;
      }
      const next = packetEnd(input.bytes, input.at, input.end, leaderPacketBytesMax);
      if (next === 0) break;
      if (next < 0) {
        return this.#fail(
          "packet_damaged",
          `a packet is longer than ${leaderPacketBytesMax} bytes, or none at all: all servers of an ensemble ` +
            "must have the same jute.maxbuffer",
        );
      }
      this.#packet.at(input.bytes, input.at, next);
      this.packetsReceived++;
      this.#hear(this.#packet);
      if (this.#ended) return;
      input.at = next;
    }
    this.#commitAll();
    input.keep();
  }

  #hear(packet: Packet): void {
    switch (this.phase) {
      case "discovery":
        return this.#hearLeaderInfo(packet);
      case "sync":
        return this.#hearSync(packet);
      case "acknowledged":
      case "broadcast":
        return this.#hearBroadcast(packet);
      case "dial":
      case "snapshot":
        return this.#fail("packet_early", `${packetName(packet.type)} before its turn`);
    }
  }

  // ------------------------------------------------------------------------------------ discovery

  #hearLeaderInfo(packet: Packet): void {
    if (packet.type !== PacketType.LeaderInfo || this.epoch !== 0) {
      return this.#fail("packet_first", `${packetName(packet.type)} where LEADERINFO was due`);
    }
    const epoch = epochOf(packet.zxid as Zxid);
    if (!(epoch > 0 && epoch <= 0x1f_ffff) || counterOf(packet.zxid as Zxid) !== 0) {
      return this.#fail("epoch_absurd", `it offers the epoch of 0x${packet.zxid.toString(16)}`);
    }
    if (epoch < this.#epochAccepted) {
      return this.#fail(
        "epoch_old",
        `it offers epoch ${epoch}, and ${this.#epochAccepted} is promised already`,
      );
    }
    this.epoch = epoch;
    if (epoch === this.#epochAccepted) return this.#ackEpoch(-1);
    this.#host.storeEpochs(epoch, this.#epochCurrent, () => {
      if (this.#ended) return;
      this.#epochAccepted = epoch;
      this.#ackEpoch(this.#epochCurrent);
    });
  }

  #ackEpoch(epochCurrent: number): void {
    const link = this.link as Link;
    // Asking for everything must not count for this leader as the history that we really have.
    const zxid = this.#fromNothing ? 0 : this.#host.ledger.durable;
    const at = beginPacket(link.out, PacketType.AckEpoch, zxid);
    link.out.i32(this.#fromNothing ? -1 : epochCurrent);
    endPacket(link.out, at);
    this.#host.outbox.touchLink(link);
    this.phase = "sync";
  }

  // ------------------------------------------------------------------------------ synchronization

  #hearSync(packet: Packet): void {
    const { ledger } = this.#host;
    if (this.syncKind === null) {
      switch (packet.type) {
        case PacketType.Diff:
          this.syncKind = "diff";
          this.#level = packet.zxid;
          // All that we have is to be replaced by what begins at nothing.
          if (this.#fromNothing) this.#startOver(0 as Zxid);
          return;
        case PacketType.Trunc:
          this.syncKind = "trunc";
          this.#level = packet.zxid;
          return this.#truncate(packet.zxid as Zxid);
        case PacketType.Snap:
          this.syncKind = "snap";
          return this.#beginSnapshot(packet.zxid as Zxid);
        default:
          return this.#fail("packet_sync", `${packetName(packet.type)} where DIFF, TRUNC or SNAP was due`);
      }
    }
    switch (packet.type) {
      case PacketType.Proposal:
        this.#accept(packet);
        return;
      case PacketType.Commit:
      case PacketType.CommitAndActivate:
        return this.#commitLater(packet.zxid);
      case PacketType.Inform:
        if (this.#accept(packet)) this.#commitLater(packet.zxid);
        return;
      case PacketType.InformAndActivate:
        this.#skipDesignated(packet);
        if (this.#accept(packet)) this.#commitLater(packet.zxid);
        return;
      case PacketType.NewLeader:
        return this.#hearNewLeader(packet, ledger);
      default:
        return;
    }
  }

  /** Before UPTODATE a commit is only noted. */
  #commitLater(zxid: number): void {
    const { ledger } = this.#host;
    // Of a snapshot's own time: it is in the tree already.
    if (zxid <= ledger.committed) return;
    if (!ledger.isOpen(zxid)) {
      return this.#fail("commit_unknown", `it commits 0x${zxid.toString(16)}, which it never proposed`);
    }
    this.#committed = Math.max(this.#committed, zxid) as Zxid;
  }

  #skipDesignated(packet: Packet): void {
    packet.dataStart = packet.dataStart < 0 ? -1 : Math.min(packet.dataStart + 8, packet.dataEnd);
  }

  /** A txn into the ledger, and so into the log. False: the leader is left. */
  #accept(packet: Packet): boolean {
    const { ledger } = this.#host;
    const { bytes, dataStart, dataEnd } = packet;
    if (dataEnd - dataStart < 32 || dataStart < 0) {
      this.#fail("proposal_short", `the proposal of 0x${packet.zxid.toString(16)} holds no txn`);
      return false;
    }
    const hi = ((bytes[dataStart + 12] as number) << 24) | ((bytes[dataStart + 13] as number) << 16) |
      ((bytes[dataStart + 14] as number) << 8) | (bytes[dataStart + 15] as number);
    const lo = ((bytes[dataStart + 16] as number) << 24) | ((bytes[dataStart + 17] as number) << 16) |
      ((bytes[dataStart + 18] as number) << 8) | (bytes[dataStart + 19] as number);
    const zxid = hi * 0x1_0000_0000 + (lo >>> 0);
    const last = ledger.proposed;
    // Sent twice: once with the sync, once live. Older leaders do that around NEWLEADER.
    const known = zxid <= last && !this.#upToDate && zxid === packet.zxid;
    if (known && (this.syncKind === "snap" || ledger.has(zxid))) return true;
    const follows = zxid === last + 1 ||
      (epochOf(zxid as Zxid) > epochOf(last) && counterOf(zxid as Zxid) === 1);
    if (zxid !== packet.zxid || !follows || epochOf(zxid as Zxid) > this.epoch) {
      this.#fail(
        "proposal_gap",
        `it proposes 0x${zxid.toString(16)} (packet 0x${packet.zxid.toString(16)}) behind ${zxidHex(last)}`,
      );
      return false;
    }
    const { type } = txnHeaderAt(bytes, dataStart, dataEnd);
    if (!isTxnType(type)) {
      // Applied by the others and passed over here, it would make another tree of ours.
      this.#fail(
        "txn_unknown",
        `its txn 0x${zxid.toString(16)} is of type ${type}, which this release does not know: ` +
          "it needs a newer one to be a member of this ensemble",
      );
      return false;
    }
    ledger.accept(bytes, dataStart, dataEnd, zxid as Zxid, this.#nowMs);
    return true;
  }

  #truncate(to: Zxid): void {
    const { ledger } = this.#host;
    if (to >= ledger.committed && ledger.has(to)) {
      this.#host.outbox.note(
        "warn",
        "log_truncated",
        `Cut the log at ${zxidHex(to)}: what was behind it never had a quorum`,
        {
          zxid: zxidHex(to),
          before: zxidHex(ledger.proposed),
        },
      );
      this.#host.store({ kind: "truncate", after: to }, () => {});
      ledger.truncate(to);
      return;
    }
    this.#host.cannotCut(to < ledger.committed);
    this.#fail(
      to < ledger.committed ? "truncate_committed" : "truncate_nowhere",
      to < ledger.committed
        ? `it wants the log cut at ${zxidHex(to)}, but everything up to ${
          zxidHex(ledger.committed)
        } was committed here. ` +
          "Either this data directory is of another ensemble, or the others lost theirs. Nothing is deleted: to join " +
          "them with their state, move this server's data directory away and start it again"
        : `it wants the log cut at ${zxidHex(to)}, where this log has no txn`,
    );
  }

  #startOver(zxid: Zxid): void {
    this.#snapshotZxid = zxid;
    this.#ownLast = this.#host.ledger.durable;
    this.#host.clearing();
    this.#host.store({ kind: "replaceBegin" }, () => {});
    this.#replace(zxid);
  }

  /**
   * All of the snapshot is here. Where our own log went further, some of that may be committed, with
   * our copy counted: it is kept until the leader has sent all that is to take its place. (The
   * original stores a snapshot when NEWLEADER comes.)
   */
  #replace(zxid: Zxid): void {
    this.#replacementWaits = this.#ownLast > zxid;
    if (this.#replacementWaits) this.#host.holdLog();
    else this.#host.store({ kind: "replaceEnd", zxid }, () => {});
    this.#host.replaced(zxid);
    this.#committed = zxid;
  }

  #beginSnapshot(zxid: Zxid): void {
    if (!(zxid >= 0) || epochOf(zxid) > this.epoch) {
      return this.#fail(
        "snapshot_absurd",
        `it sends a snapshot of 0x${zxid.toString(16)} in epoch ${this.epoch}`,
      );
    }
    this.phase = "snapshot";
    this.#snapshotZxid = zxid;
    this.#ownLast = this.#host.ledger.durable;
    this.#host.clearing();
    this.#host.store({ kind: "replaceBegin" }, () => {});
    this.#snapshot = new SnapshotReader(this.#host.tree, this.#host.sessions, {
      zxid,
      fieldBytesMax: this.#host.lengths.leaderPacketBytesMax,
    });
  }

  #readSnapshot(bytes: Uint8Array, start: number, end: number): number {
    const reader = this.#snapshot as SnapshotReader;
    let at = start;
    while (at < end && reader.state === "more") {
      at += reader.push(bytes, at, end);
      this.#storeRows(reader, rowsBytes);
    }
    if (reader.state === "damaged") {
      this.#fail("snapshot_damaged", `its snapshot is damaged: ${reader.reason}`);
      return end;
    }
    if (reader.state === "more") return end;
    this.#storeRows(reader, 1);
    const list = reader.takeSessions() ?? new Int32Array(0);
    this.#host.store({ kind: "replaceSessions", list }, () => {});
    const zxid = this.#snapshotZxid;
    this.#snapshot = null;
    this.#replace(zxid);
    this.phase = "sync";
    this.#host.outbox.note(
      "info",
      "snapshot_read",
      `Took a snapshot of ${reader.nodes} znodes from server ${this.leader}`,
      {
        zxid: zxidHex(zxid),
        znodes: reader.nodes,
      },
    );
    return at;
  }

  #storeRows(reader: SnapshotReader, bytesMin: number): void {
    for (let rows = reader.takeRows(bytesMin); rows !== null; rows = reader.takeRows(bytesMin)) {
      this.#rowsWaiting++;
      this.#host.store({ kind: "replaceRows", bytes: rows }, () => {
        this.#rowsWaiting--;
        if (this.link !== null && this.#rowsWaiting < rowsWaitingMax) this.link.paused = false;
      });
    }
    if (this.link !== null) this.link.paused = this.#rowsWaiting >= rowsWaitingMax;
  }

  #hearNewLeader(packet: Packet, ledger: Ledger): void {
    if (packet.zxid !== zxidOf(this.epoch, 0)) {
      return this.#fail("epoch_other", `NEWLEADER of 0x${packet.zxid.toString(16)} in epoch ${this.epoch}`);
    }
    this.#newLeaderHeard = true;
    if (this.#replacementWaits) {
      this.#replacementWaits = false;
      this.#host.storeReplacement(this.#snapshotZxid);
    }
    this.phase = "acknowledged";
    this.#heardMs = this.#nowMs;
    const last = ledger.proposed;
    // All of the leader's history is committed once it has its quorum, also what we had already.
    const committed = this.#committed = Math.max(this.#committed, ledger.openUpTo(this.#level)) as Zxid;
    // The log first, then the epoch: the other way round a crash in between makes us believed too
    // much (ZOOKEEPER-4643). The disk does one thing after the other.
    this.#host.storeEpochs(this.epoch, this.epoch, () => {
      if (this.#ended) return;
      assert(ledger.durable >= last, "what came before NEWLEADER is durable before it is acknowledged");
      const link = this.link as Link;
      writePacket(link.out, PacketType.Ack, zxidOf(this.epoch, 0));
      this.#host.outbox.touchLink(link);
      this.#newLeaderAcked = true;
      // Older leaders send what is in flight before NEWLEADER and wait for its acknowledgement.
      this.#acked = Math.max(zxidOf(this.epoch, 0), committed);
      this.durable();
    });
  }

  // ------------------------------------------------------------------------------------ broadcast

  #hearBroadcast(packet: Packet): void {
    if (packet.type !== PacketType.Proposal && packet.type !== PacketType.Commit) this.#commitAll();
    switch (packet.type) {
      case PacketType.Proposal:
        this.#accept(packet);
        return;
      case PacketType.Commit:
        return this.#commit(packet.zxid);
      case PacketType.CommitAndActivate:
        this.#noteReconfig(packet);
        if (packet.dataBytes >= 8) {
          this.#host.activates(packet.zxid, packet.bytes.slice(packet.dataStart, packet.dataStart + 8));
        }
        return this.#commit(packet.zxid);
      case PacketType.Inform:
        if (this.#accept(packet)) this.#commit(packet.zxid);
        return;
      case PacketType.InformAndActivate:
        this.#noteReconfig(packet);
        this.#skipDesignated(packet);
        if (this.#accept(packet)) this.#commit(packet.zxid);
        return;
      case PacketType.UpToDate:
        return this.#hearUpToDate();
      case PacketType.Ping:
        return this.#hearPing(packet);
      case PacketType.Sync:
        if (this.#upToDate) this.#host.synced();
        return;
      case PacketType.Revalidate: {
        const r = packet.data();
        const hi = r.i32();
        const lo = r.i32();
        const valid = r.bool();
        if (!r.failed && this.#upToDate) this.#host.revalidated(hi, lo, valid);
        return;
      }
      default:
        this.#host.outbox.note("debug", "packet_unknown", `Ignored ${packetName(packet.type)} of the leader`);
    }
  }

  #noteReconfig(packet: Packet): void {
    this.#host.outbox.note(
      "warn",
      "reconfig_seen",
      `The ensemble changed its members at 0x${
        packet.zxid.toString(16)
      }: this server goes on with those of its own configuration`,
    );
  }

  #commit(zxid: number): void {
    const { ledger } = this.#host;
    if (!this.#upToDate) return this.#commitLater(zxid);
    if (zxid <= ledger.committed) return;
    if (!ledger.isOpen(zxid)) {
      return this.#fail("commit_unknown", `it commits 0x${zxid.toString(16)}, which it never proposed`);
    }
    this.#commitsUpTo = Math.max(this.#commitsUpTo, zxid);
    this.#commits++;
  }

  #commitAll(): void {
    const count = this.#commits;
    if (count === 0) return;
    this.#commits = 0;
    this.#host.commit(this.#commitsUpTo as Zxid, count);
  }

  #hearUpToDate(): void {
    if (this.#upToDate) return;
    if (!this.#newLeaderAcked) {
      return this.#fail("packet_early", "UPTODATE before NEWLEADER was acknowledged");
    }
    const link = this.link as Link;
    this.#upToDate = true;
    this.phase = "broadcast";
    this.syncMs = this.#nowMs - this.startedMs;
    writePacket(link.out, PacketType.Ack, zxidOf(this.epoch, 0));
    this.#host.outbox.touchLink(link);
    this.#host.followed(this.epoch, this.#committed);
  }

  #hearPing(packet: Packet): void {
    // The original's learners answer from UPTODATE on, and a leader may count on it.
    if (!this.#upToDate) return;
    const link = this.link as Link;
    const at = beginPacket(link.out, PacketType.Ping, packet.zxid);
    this.#host.touched((hi, lo, timeoutMs) => {
      link.out.i64Halves(hi, lo);
      link.out.i32(timeoutMs);
    });
    endPacket(link.out, at);
    this.#host.outbox.touchLink(link);
  }

  /** The log has everything up to the ledger's `durable`: what was not acknowledged yet is now. */
  durable(): void {
    if (!this.#newLeaderAcked || this.#observer || this.#ended) return;
    const { durable } = this.#host.ledger;
    if (durable <= this.#acked) return;
    const { out } = this.link as Link;
    // Behind NEWLEADER all is of one epoch, so without a gap.
    for (let zxid = this.#acked + 1; zxid <= durable; zxid++) writePacket(out, PacketType.Ack, zxid);
    this.packetsSent += durable - this.#acked;
    this.#acked = durable;
    this.#host.outbox.touchLink(this.link as Link);
  }

  /** A client's request for the leader: `bytes[start, end)` is the body as the client sent it. */
  request(
    hi: number,
    lo: number,
    cxid: number,
    op: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    identities: readonly Id[] | null,
  ): void {
    const link = this.link as Link;
    const { out } = link;
    const at = beginPacket(out, PacketType.Request, -1);
    out.i64Halves(hi, lo);
    out.i32(cxid);
    out.i32(op);
    out.rawRange(bytes, start, end);
    endPacket(out, at, identities);
    this.packetsSent++;
    this.#host.outbox.touchLink(link);
  }

  /** What an observer of ours wants of the leader, as it came. */
  relay(packet: Packet): void {
    const link = this.link as Link;
    const { out } = link;
    const at = beginPacket(out, packet.type as PacketType, packet.zxid);
    out.i32At(at + 12, packet.dataBytes);
    out.rawRange(packet.bytes, packet.authStart - packet.dataBytes, packet.authEnd);
    this.packetsSent++;
    this.#host.outbox.touchLink(link);
  }

  revalidate(hi: number, lo: number, timeoutMs: number): void {
    const link = this.link as Link;
    const at = beginPacket(link.out, PacketType.Revalidate, -1);
    link.out.i64Halves(hi, lo);
    link.out.i32(timeoutMs);
    endPacket(link.out, at);
    this.#host.outbox.touchLink(link);
  }
}
