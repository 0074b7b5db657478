/**
 * Leader: from being elected to being followed. quorum-protocol 4.1 to 4.6, 5.3, 5.5, 5.7.
 *
 * ```
 *  discovery ──a quorum told its epoch──► promise (durable) ──a quorum answered──► synchronization
 *      ──a quorum has the history, our epoch is durable──► broadcast ──quorum lost──► step down
 * ```
 *
 * The leader orders bytes and counts who has them. What the bytes mean, who asked and who is told is
 * the host's business.
 *
 * Always true: no epoch is told before it is durable here; nothing commits before a quorum has it
 * durable; each learner sees each txn once, in order, and the commit of a txn behind the txn.
 */
import { assert } from "../base/assert.ts";
import {
  epochAheadMax,
  epochMax,
  type Lengths,
  quorumHandshakeBytesMax,
  quorumLinksMax,
} from "../base/limits.ts";
import { epochOf, type Zxid, zxidHex, zxidOf } from "../base/zxid.ts";
import type { EnsembleOptions } from "./ensemble.ts";
import type { LogChunk } from "./disk.ts";
import type { Link, LinkOutbox } from "./link.ts";
import type { SessionTable } from "../session/table.ts";
import type { Tree } from "../tree/tree.ts";
import {
  beginPacket,
  endPacket,
  type Packet,
  packetName,
  PacketType,
  quorumProtocolVersion,
  readLearnerInfo,
  writeDataPacket,
  writePacket,
} from "../wire/packets.ts";
import type { Ledger } from "./ledger.ts";
import { LearnerLink } from "./learner_link.ts";
import { LearnerSync } from "./learner_sync.ts";
import { ReadRounds } from "./read_rounds.ts";

/** What a leader needs of the peer around it. */
export interface LeaderHost {
  readonly outbox: LinkOutbox;
  readonly ledger: Ledger;
  readonly tree: Tree;
  readonly sessions: SessionTable;
  readonly ensemble: EnsembleOptions;
  readonly tickMs: number;
  readonly lengths: Lengths;
  storeEpochs(accepted: number, current: number, then: () => void): void;
  readLog(after: Zxid, upTo: Zxid, then: (chunk: LogChunk) => void): number;
  /** A quorum has all of our history: it is committed, and clients may come. */
  established(epoch: number): void;
  /** A quorum has everything up to here. */
  commit(zxid: Zxid): void;
  /** A learner's client wants something. The packet is REQUEST and its data holds at least its head. */
  request(learner: LearnerLink, packet: Packet): void;
  /** A learner's client was heard. */
  touched(hi: number, lo: number, timeoutMs: number): void;
  /** Is the session alive? If so the learner owns it from now on. */
  revalidate(learner: LearnerLink, hi: number, lo: number): boolean;
  /** A learner is gone. */
  parted(learner: LearnerLink): void;
  stepDown(reason: string): void;
}

export type LeaderPhase = "discovery" | "promise" | "acknowledge" | "synchronization" | "broadcast";

export class Leader {
  readonly learners = new Map<number, LearnerLink>();
  /** The epoch that will be ours; decided once a quorum has told what it accepted. */
  epoch: number;
  phase: LeaderPhase = "discovery";
  /** A voter promised this later epoch to another: whenever we lead next, we go beyond it. */
  epochSeen = 0;
  readonly #host: LeaderHost;
  readonly #sid: number;
  readonly #epochBefore: number;
  readonly #connecting = new Set<number>();
  readonly #electing = new Set<number>();
  /** All of the history that a quorum has to have before we may lead. */
  readonly #historyLast: Zxid;
  readonly #acked = new Map<number, number>();
  readonly #rounds: ReadRounds;
  readonly #syncs: LearnerSync;
  #epochDurable = false;
  #deadlineMs: number;
  #nowMs: number;
  #pingAtMs: number;
  #tickHalf = false;
  #ended = false;
  /** Since start. */
  refused = 0;
  packetsReceived = 0;
  establishedMs = 0;

  /** `epochCurrent` and the ledger's end are the history that we were elected for. */
  constructor(host: LeaderHost, epochAccepted: number, epochCurrent: number, monoMs: number) {
    this.#host = host;
    this.#sid = host.ensemble.sid;
    this.#epochBefore = epochCurrent;
    this.epoch = epochAccepted + 1;
    this.#historyLast = host.ledger.proposed;
    assert(host.ledger.durable === host.ledger.proposed, "who leads has its history on the disk");
    this.#nowMs = monoMs;
    this.#deadlineMs = monoMs + this.#initMs;
    this.#pingAtMs = monoMs;
    this.#rounds = new ReadRounds(host.ensemble.quorum, this.#sid, () => this.#pingActive());
    this.#connecting.add(this.#sid);
    this.#syncs = new LearnerSync(host, {
      zxidFirst: () => this.zxidFirst,
      cut: () => this.#cut,
      level: (learner, cut) => this.#level(learner, cut),
      drop: (learner, event, reason) => this.#drop(learner, event, reason),
    });
  }

  /** Once the host knows its leader: alone in the ensemble we are a quorum already. */
  begin(): void {
    this.#decideEpoch();
  }

  get #initMs(): number {
    return this.#host.ensemble.initLimit * this.#host.tickMs;
  }

  get #syncMs(): number {
    return this.#host.ensemble.syncLimit * this.#host.tickMs;
  }

  get zxidFirst(): Zxid {
    return zxidOf(this.epoch, 0);
  }

  /** The last zxid given out in this epoch; `epoch << 32` before the first. */
  get zxidLast(): Zxid {
    return Math.max(this.#host.ledger.proposed, this.zxidFirst) as Zxid;
  }

  /** Syncs since the start, by kind. */
  get snaps(): number {
    return this.#syncs.snaps;
  }

  get diffs(): number {
    return this.#syncs.diffs;
  }

  get pendingSyncs(): number {
    return this.#rounds.size;
  }

  // --------------------------------------------------------------------------------------- links

  accept(link: Link, monoMs: number): void {
    this.#nowMs = monoMs;
    if (this.learners.size >= quorumLinksMax && !this.#makeRoom()) {
      this.refused++;
      this.#host.outbox.note(
        "warn",
        "learner_many",
        `Closed ${link.remote}: ${quorumLinksMax} learners are there`,
        {
          remote: link.remote,
        },
      );
      return this.#hangUp(link);
    }
    this.learners.set(link.number, new LearnerLink(link, monoMs));
  }

  /** Who came may be a member: the oldest that did not say who it is goes, or the oldest that is none. */
  #makeRoom(): boolean {
    const { members } = this.#host.ensemble;
    const all = [...this.learners.values()];
    const least = all.find(({ phase }) => phase === "info") ?? all.find(({ sid }) => !members.includes(sid));
    if (least === undefined) return false;
    this.#drop(least, "learner_many", `${all.length} are there, and another came`);
    return true;
  }

  #hangUp(link: Link): void {
    if (link.closed) return;
    link.closed = true;
    this.#host.outbox.linksClosing.push(link);
  }

  /** A learner is to go, and the operator is told why. */
  #drop(learner: LearnerLink, event: string, reason: string): void {
    if (!this.learners.has(learner.link.number)) return;
    this.refused++;
    this.#host.outbox.note("warn", event, `Closed the link of ${learner.name}: ${reason}`, {
      sid: learner.sid,
      remote: learner.link.remote,
    });
    this.#hangUp(learner.link);
    this.#part(learner);
  }

  closed(number: number, monoMs: number): void {
    this.#nowMs = monoMs;
    const learner = this.learners.get(number);
    if (learner === undefined) return;
    learner.link.closed = true;
    if (learner.phase !== "info") {
      this.#host.outbox.note("info", "learner_gone", `The link of ${learner.name} closed`, {
        sid: learner.sid,
        remote: learner.link.remote,
      });
    }
    this.#part(learner);
  }

  #part(learner: LearnerLink): void {
    this.learners.delete(learner.link.number);
    this.#syncs.release(learner);
    learner.live = false;
    learner.input.drop();
    // Another link of the same member may be there already.
    if (learner.voting && ![...this.learners.values()].some((one) => one.voting && one.sid === learner.sid)) {
      this.#acked.delete(learner.sid);
    }
    this.#host.parted(learner);
  }

  bytes(number: number, bytes: Uint8Array, start: number, end: number, monoMs: number): void {
    this.#nowMs = monoMs;
    const learner = this.learners.get(number);
    if (learner === undefined) return;
    const ackedBefore = learner.acked;
    const { lengths } = this.#host;
    // Who is not active yet has nothing long to say, and shall not make us keep it.
    const packetBytesMax = learner.phase === "active" ? lengths.packetBytesMax : quorumHandshakeBytesMax;
    const fault = learner.receive(bytes, start, end, monoMs, packetBytesMax, this.#heard);
    if (fault !== null) return this.#drop(learner, "packet_damaged", fault);
    if (!this.#ended && learner.acked !== ackedBefore) this.#advance();
  }

  readonly #heard = (learner: LearnerLink, packet: Packet): boolean => {
    this.packetsReceived++;
    this.#hear(learner, packet);
    return !this.#ended;
  };

  #hear(learner: LearnerLink, packet: Packet): void {
    switch (learner.phase) {
      case "info":
        return this.#hearInfo(learner, packet);
      case "ackEpoch":
        return this.#hearAckEpoch(learner, packet);
      case "newLeader":
        return this.#hearNewLeaderAck(learner, packet);
      case "active":
        return this.#hearActive(learner, packet);
      case "epoch":
      case "waiting":
      case "sync":
        return this.#drop(learner, "packet_early", `${packetName(packet.type)} before its turn`);
    }
  }

  // ----------------------------------------------------------------------------------- discovery

  #hearInfo(learner: LearnerLink, packet: Packet): void {
    if (packet.type !== PacketType.FollowerInfo && packet.type !== PacketType.ObserverInfo) {
      return this.#drop(learner, "packet_first", `the first packet is ${packetName(packet.type)}`);
    }
    const info = readLearnerInfo(packet);
    if (info === null || info.protocolVersion < quorumProtocolVersion) {
      return this.#drop(
        learner,
        "learner_old",
        "its first packet names no server, or a protocol from before 3.4",
      );
    }
    const { ensemble } = this.#host;
    learner.sid = info.sid;
    learner.observer = packet.type === PacketType.ObserverInfo;
    if (info.sid === this.#sid) {
      return this.#drop(
        learner,
        "sid_twice",
        `it says to be server ${info.sid}, which is this server: look at its myid`,
      );
    }
    learner.voting = !learner.observer && ensemble.quorum.isVoter(info.sid);
    learner.epochAccepted = epochOf(packet.zxid as Zxid);
    // One packet must not use up the epochs of all: promised once, they are gone.
    if (!(learner.epochAccepted >= 0 && learner.epochAccepted <= this.epoch + epochAheadMax)) {
      return this.#drop(
        learner,
        "epoch_absurd",
        `it has accepted epoch ${learner.epochAccepted} and ours is ${this.epoch}: its data is of another ` +
          "ensemble, or ours is too old to lead this one",
      );
    }
    if (!ensemble.members.includes(info.sid)) {
      this.#host.outbox.note(
        "info",
        "learner_stranger",
        `${learner.name} is not in our configuration: it is served, and not counted`,
        {
          sid: info.sid,
          remote: learner.link.remote,
        },
      );
    }
    learner.phase = "epoch";
    if (this.phase === "discovery") {
      if (learner.epochAccepted >= this.epoch) this.epoch = learner.epochAccepted + 1;
      if (learner.voting) this.#connecting.add(learner.sid);
      this.#decideEpoch();
      return;
    }
    if (learner.voting && learner.epochAccepted > Math.max(this.epoch, this.epochSeen)) {
      // It promised a leader that came to nothing, and may never follow us. Whoever can send us one
      // packet may say so, so we stay: it leaves by itself, and its promise counts as soon as a quorum
      // needs it, or when we lead again.
      this.epochSeen = learner.epochAccepted;
      this.#host.outbox.note(
        "warn",
        "epoch_promised",
        `${learner.name} promised epoch ${learner.epochAccepted} to another and ours is ${this.epoch}, so it can't ` +
          "follow us: to let it in, restart this server while the others are up",
        { sid: learner.sid, remote: learner.link.remote },
      );
    }
    if (this.phase !== "promise") this.#sendLeaderInfo(learner);
  }

  #decideEpoch(): void {
    if (this.phase !== "discovery") return;
    if (!this.#host.ensemble.quorum.isQuorum((sid) => this.#connecting.has(sid))) return;
    if (this.epoch > epochMax) return;
    this.phase = "promise";
    this.#deadlineMs = this.#nowMs + this.#initMs;
    this.#host.storeEpochs(this.epoch, this.#epochBefore, () => {
      if (this.#ended) return;
      this.phase = "acknowledge";
      this.#electing.add(this.#sid);
      for (const learner of this.learners.values()) {
        if (learner.phase === "epoch") this.#sendLeaderInfo(learner);
      }
      this.#decideElected();
    });
  }

  #sendLeaderInfo(learner: LearnerLink): void {
    const { out } = learner.link;
    const at = beginPacket(out, PacketType.LeaderInfo, this.zxidFirst);
    out.i32(quorumProtocolVersion);
    endPacket(out, at);
    this.#host.outbox.touchLink(learner.link);
    learner.phase = "ackEpoch";
  }

  /**
   * It takes us for its leader: earlier links of the same server are over. Not before: a first packet
   * that says a member's number must not cut that member off.
   */
  #isBack(learner: LearnerLink): void {
    const isMember = this.#host.ensemble.members.includes(learner.sid);
    for (const other of [...this.learners.values()]) {
      if (other === learner || other.sid !== learner.sid || other.phase === "info") continue;
      // Observers that nobody gave a number may have thought of the same one. They are counted nowhere.
      if (learner.observer && other.observer && !isMember) continue;
      this.#drop(other, "sid_twice", `server ${learner.sid} came again from ${learner.link.remote}`);
    }
    // What it acknowledged before may be cut from its log now.
    if (learner.voting) this.#acked.delete(learner.sid);
  }

  #hearAckEpoch(learner: LearnerLink, packet: Packet): void {
    if (packet.type !== PacketType.AckEpoch || packet.dataBytes < 4) {
      return this.#drop(learner, "packet_epoch", `${packetName(packet.type)} where ACKEPOCH was due`);
    }
    this.#isBack(learner);
    const epochCurrent = packet.data().i32();
    const zxid = packet.zxid;
    learner.zxidOwn = zxid;
    learner.phase = "waiting";
    if (this.phase === "acknowledge" && epochCurrent !== -1) {
      const isAhead = epochCurrent > this.#epochBefore ||
        (epochCurrent === this.#epochBefore && zxid > this.#historyLast);
      if (isAhead) {
        return this.#drop(
          learner,
          "learner_ahead",
          `it is ahead of us, with epoch ${epochCurrent} and zxid 0x${zxid.toString(16)}: ours are ` +
            `${this.#epochBefore} and ${zxidHex(this.#historyLast)}`,
        );
      }
      if (zxid !== -1 && learner.voting) this.#electing.add(learner.sid);
      this.#decideElected();
    }
    if (this.phase === "synchronization" || this.phase === "broadcast") {
      if (learner.phase === "waiting") this.#syncs.begin(learner, this.#nowMs);
    }
  }

  #decideElected(): void {
    if (this.phase !== "acknowledge") return;
    if (!this.#host.ensemble.quorum.isQuorum((sid) => this.#electing.has(sid))) return;
    this.phase = "synchronization";
    this.#deadlineMs = this.#nowMs + this.#initMs;
    this.#host.storeEpochs(this.epoch, this.epoch, () => {
      if (this.#ended) return;
      this.#epochDurable = true;
      this.#acked.set(this.#sid, this.zxidFirst);
      this.#decideEstablished();
    });
    for (const learner of [...this.learners.values()]) {
      if (learner.phase === "waiting") this.#syncs.begin(learner, this.#nowMs);
    }
  }

  // ----------------------------------------------------------------------------- synchronization

  /** What a learner has to get before NEWLEADER: all that is, or is going to be, committed history. */
  get #cut(): Zxid {
    return this.phase === "broadcast" ? this.#host.ledger.committed : this.#historyLast;
  }

  /**
   * A learner is level. Proposals in flight go behind NEWLEADER, because followers up to 3.9.2 lose
   * those that come before it (quorum-protocol 12.2).
   */
  #level(learner: LearnerLink, cut: Zxid): void {
    if (this.phase !== "broadcast" || learner.observer) return;
    const { ledger } = this.#host;
    ledger.read(cut, ledger.proposed, (bytes, start, end, zxid) => {
      writeDataPacket(learner.link.out, PacketType.Proposal, zxid, bytes, start, end);
      learner.sent = zxid;
    });
  }

  drained(number: number, monoMs: number): void {
    this.#nowMs = monoMs;
    const learner = this.learners.get(number);
    if (learner === undefined) return;
    // Whoever takes what it is sent is alive, though during a sync it has nothing to say.
    if (learner.phase === "sync") learner.heardMs = monoMs;
    this.#syncs.drained(learner);
  }

  #hearNewLeaderAck(learner: LearnerLink, packet: Packet): void {
    if (packet.type !== PacketType.Ack) {
      return this.#drop(
        learner,
        "packet_ack",
        `${packetName(packet.type)} where the ACK of NEWLEADER was due`,
      );
    }
    // Older learners acknowledge what came with the sync first, one by one.
    if (packet.zxid !== this.zxidFirst || learner.newLeaderAcked) return;
    learner.newLeaderAcked = true;
    learner.syncMs = this.#nowMs - learner.syncStartedMs;
    learner.acked = this.zxidFirst;
    if (learner.voting) this.#acked.set(learner.sid, this.zxidFirst);
    this.#host.outbox.note("info", "learner_synced", `Synchronized ${learner.name} by ${learner.syncKind}`, {
      sid: learner.sid,
      kind: learner.syncKind ?? "none",
      tookMs: Math.round(learner.syncMs),
      zxid: zxidHex(learner.sent as Zxid),
    });
    if (this.phase === "broadcast") this.#upToDate(learner);
    else this.#decideEstablished();
  }

  #decideEstablished(): void {
    if (this.phase !== "synchronization" || !this.#epochDurable) return;
    if (!this.#host.ensemble.quorum.isQuorum((sid) => this.#acked.has(sid))) return;
    this.phase = "broadcast";
    this.establishedMs = this.#nowMs;
    this.#pingAtMs = this.#nowMs + this.#host.tickMs / 2;
    this.#host.established(this.epoch);
    if (this.#ended) return;
    for (const learner of this.learners.values()) if (learner.newLeaderAcked) this.#upToDate(learner);
  }

  #upToDate(learner: LearnerLink): void {
    learner.phase = "active";
    writePacket(learner.link.out, PacketType.UpToDate, -1);
    this.#host.outbox.touchLink(learner.link);
    this.#rounds.joined(learner, (one) => this.#ping(one));
  }

  // ----------------------------------------------------------------------------------- broadcast

  /** The host has put this txn into the ledger: all that follow get it, before it is durable here. */
  propose(bytes: Uint8Array, start: number, end: number, zxid: number): void {
    const { outbox } = this.#host;
    for (const learner of this.learners.values()) {
      if (!learner.live || learner.observer) continue;
      writeDataPacket(learner.link.out, PacketType.Proposal, zxid, bytes, start, end);
      learner.proposed(zxid, this.#nowMs);
      outbox.touchLink(learner.link);
    }
  }

  /** The host commits this txn now. */
  committed(bytes: Uint8Array, start: number, end: number, zxid: number): void {
    if (this.#rounds.size > 0) this.#rounds.confirm(zxid);
    // The history that we were elected for went to each learner with its sync.
    if (zxid <= this.#historyLast) return;
    for (const learner of this.learners.values()) {
      if (!learner.live) continue;
      const { out } = learner.link;
      if (learner.observer) {
        writeDataPacket(out, PacketType.Inform, zxid, bytes, start, end);
        learner.sent = zxid;
      } else writePacket(out, PacketType.Commit, zxid);
      learner.packetsSent++;
      this.#host.outbox.touchLink(learner.link);
    }
  }

  /** Our own log has everything up to the ledger's `durable`. */
  durable(): void {
    if (this.phase !== "broadcast") return;
    this.#advance();
  }

  #advance(): void {
    if (this.phase !== "broadcast") return;
    const { ledger, ensemble } = this.#host;
    this.#acked.set(this.#sid, Math.max(ledger.durable, this.zxidFirst));
    const acked = this.#acked;
    let best = 0;
    for (const zxid of acked.values()) {
      // `epoch << 32` stands for all of the history, which is committed, and is no txn itself.
      if (zxid <= best || zxid <= ledger.committed || zxid <= this.zxidFirst) continue;
      if (ensemble.quorum.isQuorum((sid) => (acked.get(sid) ?? 0) >= zxid)) best = zxid;
    }
    const zxid = Math.min(best, ledger.proposed) as Zxid;
    if (zxid > ledger.committed) this.#host.commit(zxid);
    if (this.#rounds.size > 0) this.#rounds.advance(ledger.committed);
  }

  /** `release` is called once this leader is known to have led after now, behind all that is in flight. */
  sync(release: () => void): void {
    const { ledger } = this.#host;
    this.#rounds.add({ zxid: ledger.proposed, release }, ledger.committed);
  }

  #hearActive(learner: LearnerLink, packet: Packet): void {
    switch (packet.type) {
      case PacketType.Ack:
        // The second ACK of NEWLEADER, acks of an observer, or of what came with the sync.
        if (packet.zxid <= learner.acked || learner.observer) return;
        if (packet.zxid > learner.sent) {
          return this.#drop(
            learner,
            "ack_absurd",
            `it acknowledges 0x${packet.zxid.toString(16)}, which it was never sent`,
          );
        }
        learner.acknowledged(packet.zxid, this.#nowMs);
        if (learner.voting) this.#acked.set(learner.sid, packet.zxid);
        return;
      case PacketType.Ping:
        return this.#hearPing(learner, packet);
      case PacketType.Request: {
        if (packet.dataBytes < 16) return this.#drop(learner, "request_short", "a REQUEST without a head");
        learner.requests++;
        return this.#host.request(learner, packet);
      }
      case PacketType.Revalidate:
        return this.#hearRevalidate(learner, packet);
      default:
        this.#host.outbox.note(
          "debug",
          "packet_unknown",
          `Ignored ${packetName(packet.type)} of ${learner.name}`,
        );
    }
  }

  #hearPing(learner: LearnerLink, packet: Packet): void {
    if (learner.pingsAnswered < learner.pingsSent) learner.pingsAnswered++;
    const r = packet.data();
    while (r.left >= 12) {
      const hi = r.i32();
      const lo = r.i32();
      this.#host.touched(hi, lo, r.i32());
    }
    if (this.#rounds.size > 0) this.#rounds.advance(this.#host.ledger.committed);
  }

  #hearRevalidate(learner: LearnerLink, packet: Packet): void {
    const r = packet.data();
    const hi = r.i32();
    const lo = r.i32();
    r.i32();
    if (r.failed) return this.#drop(learner, "revalidate_short", "a REVALIDATE without a session");
    const valid = this.#host.revalidate(learner, hi, lo);
    const { out } = learner.link;
    const at = beginPacket(out, PacketType.Revalidate, packet.zxid);
    out.i64Halves(hi, lo);
    out.bool(valid);
    endPacket(out, at);
    this.#host.outbox.touchLink(learner.link);
  }

  /** The SYNC that a learner's client waits for, behind the commits that were sent already. */
  answerSync(learner: LearnerLink): void {
    if (learner.link.closed) return;
    writePacket(learner.link.out, PacketType.Sync, 0);
    this.#host.outbox.touchLink(learner.link);
  }

  // ---------------------------------------------------------------------------------------- time

  tick(monoMs: number): void {
    this.#nowMs = monoMs;
    if (this.epoch > epochMax) {
      return this.#host.stepDown(
        `epoch ${epochMax} was the last that there is: start a new ensemble and copy the znodes into it`,
      );
    }
    if (this.phase !== "broadcast" && monoMs >= this.#deadlineMs) {
      const heard = [...this.learners.values()].filter(({ voting }) => voting).map(({ sid }) => sid);
      return this.#host.stepDown(
        `no quorum in ${this.phase} after ${this.#initMs} ms: heard of server ${
          heard.join(", ") || "none"
        } beside us`,
      );
    }
    this.#endSilent(monoMs);
    if (monoMs < this.#pingAtMs) return;
    const period = this.#host.tickMs / 2;
    // A process that was stopped does not make up for the ticks it missed.
    this.#pingAtMs = Math.max(this.#pingAtMs + period, monoMs + period / 2);
    for (const learner of this.learners.values()) {
      if (learner.phase === "newLeader" || learner.phase === "active") this.#ping(learner);
    }
    this.#tickHalf = !this.#tickHalf;
    if (this.phase === "broadcast" && !this.#tickHalf) this.#checkQuorum();
  }

  #pingActive(): LearnerLink[] {
    const active = [...this.learners.values()].filter(({ phase, voting }) => phase === "active" && voting);
    for (const learner of active) this.#ping(learner);
    return active;
  }

  #ping(learner: LearnerLink): void {
    if (learner.phase === "active") learner.pingsSent++;
    learner.packetsSent++;
    writePacket(learner.link.out, PacketType.Ping, this.zxidLast);
    this.#host.outbox.touchLink(learner.link);
  }

  #endSilent(monoMs: number): void {
    const { observerUnsentBytesMax, quorumUnsentBytesMax } = this.#host.lengths;
    for (const learner of [...this.learners.values()]) {
      const limitMs = learner.phase === "active" ? this.#syncMs : this.#initMs;
      // What it says waits in our own kernel while our disk is behind: that is not its silence.
      if (learner.link.paused) learner.heardMs = learner.lateMs = monoMs;
      if (learner.phase === "info" && monoMs - learner.openedMs > limitMs) {
        this.#drop(learner, "learner_silent", `it did not say who it is for ${Math.round(limitMs)} ms`);
        continue;
      }
      if (monoMs - learner.heardMs > limitMs) {
        // A long snapshot is on its way and nothing is due from there.
        const isFed = learner.phase === "sync" && learner.link.unsentBytes === 0;
        if (!isFed) {
          this.#drop(
            learner,
            "learner_silent",
            `nothing was heard for ${Math.round(monoMs - learner.heardMs)} ms`,
          );
          continue;
        }
      }
      if (learner.link.unsentBytes > (learner.voting ? quorumUnsentBytesMax : observerUnsentBytesMax)) {
        this.#drop(learner, "learner_slow", `${learner.link.unsentBytes} bytes wait to be read by it`);
        continue;
      }
      if (learner.phase !== "active" || learner.observer) continue;
      if (learner.lateZxid === 0 || learner.acked >= learner.lateZxid) {
        learner.lateZxid = learner.acked < learner.sent ? learner.sent : 0;
        learner.lateMs = monoMs;
      } else if (monoMs - learner.lateMs > this.#syncMs) {
        this.#drop(
          learner,
          "learner_late",
          `0x${learner.lateZxid.toString(16)} was not acknowledged for ${
            Math.round(monoMs - learner.lateMs)
          } ms`,
        );
      }
    }
  }

  /** Once a tick: whoever was heard lately, and we, must be a quorum. */
  #checkQuorum(): void {
    const alive = new Set([this.#sid]);
    for (const learner of this.learners.values()) {
      if (learner.voting && this.#nowMs - learner.heardMs <= this.#syncMs) alive.add(learner.sid);
    }
    if (this.#host.ensemble.quorum.isQuorum((sid) => alive.has(sid))) return;
    this.#host.stepDown(
      `only server ${[...alive].join(", ")} of the voters was heard lately: that is no quorum`,
    );
  }

  /** The others could go on without us: they have more than our disk has, or wait for it to have a leader at all. */
  get isNeedless(): boolean {
    const { ledger, ensemble } = this.#host;
    if (this.phase === "broadcast") return ledger.committed > ledger.durable;
    const others = new Set<number>();
    for (const { voting, phase, sid } of this.learners.values()) {
      if (voting && phase !== "info") others.add(sid);
    }
    return ensemble.quorum.isQuorum((sid) => others.has(sid));
  }

  /** Nobody is led any more. */
  end(): void {
    this.#ended = true;
    for (const learner of [...this.learners.values()]) {
      this.#hangUp(learner.link);
      this.#part(learner);
    }
  }
}
