/**
 * Observer master: a follower that serves observers in its leader's place (quorum-protocol 8.3), so
 * that the leader sends each txn to its voters alone, however many observers there are.
 *
 * ```
 *  observer ──REQUEST, REVALIDATE, sessions heard──► follower ──as they are──► leader
 *           ◄──────── INFORM, SYNC, REVALIDATE ─────          ◄──PROPOSAL, COMMIT, …
 * ```
 *
 * It lasts as long as we follow: from UPTODATE until our leader is lost, and then all of its links end.
 *
 * Always true: an observer sees only what is committed here, each txn once, in order; and an answer
 * of the leader goes on behind the txns that came before it.
 */
import { type Lengths, quorumLinksMax, unsentBytesPause } from "../base/limits.ts";
import { counterOf, epochOf, type Zxid, zxidHex, zxidOf } from "../base/zxid.ts";
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
import { LearnerLink } from "./learner_link.ts";
import { LearnerSync, type SyncHost } from "./learner_sync.ts";
import type { Link } from "./link.ts";

/** What it needs of the peer around it. */
export interface MasterHost extends SyncHost {
  readonly tickMs: number;
  readonly lengths: Lengths;
  /** Our link to the leader. */
  readonly upstream: Link;
  /** An observer's client wants something. The packet is REQUEST and its data holds at least its head. */
  request(learner: LearnerLink, packet: Packet): void;
  /** An observer asks whether a session lives. */
  revalidate(learner: LearnerLink, hi: number, lo: number, packet: Packet): void;
  /** An observer's client was heard. */
  touched(hi: number, lo: number): void;
}

export class ObserverMaster {
  readonly learners = new Map<number, LearnerLink>();
  readonly #host: MasterHost;
  readonly #epoch: number;
  readonly #sync: LearnerSync;
  /** Their links are held back, because too much waits to leave for the leader. */
  readonly #paused = new Set<Link>();
  #nowMs: number;
  #pingAtMs: number;
  #ended = false;
  /** The next change of members, and who is to lead them. */
  #activation: { readonly zxid: number; readonly designated: Uint8Array } | null = null;
  /** Since we began to follow. */
  refused = 0;
  packetsReceived = 0;

  constructor(host: MasterHost, epoch: number, monoMs: number) {
    this.#host = host;
    this.#epoch = epoch;
    this.#nowMs = monoMs;
    this.#pingAtMs = monoMs + host.tickMs / 2;
    this.#sync = new LearnerSync(host, {
      cut: () => host.ledger.committed,
      zxidFirst: () => zxidOf(epoch, 0),
      level: () => {},
      drop: (learner, event, reason) => this.#drop(learner, event, reason),
    });
  }

  get snaps(): number {
    return this.#sync.snaps;
  }

  get diffs(): number {
    return this.#sync.diffs;
  }

  get #initMs(): number {
    return this.#host.ensemble.initLimit * this.#host.tickMs;
  }

  get #syncMs(): number {
    return this.#host.ensemble.syncLimit * this.#host.tickMs;
  }

  // --------------------------------------------------------------------------------------- links

  accept(link: Link, monoMs: number): void {
    this.#nowMs = monoMs;
    if (this.learners.size >= quorumLinksMax && !this.#makeRoom()) {
      this.refused++;
      this.#host.outbox.note(
        "warn",
        "learner_many",
        `Closed ${link.remote}: ${quorumLinksMax} observers are there`,
        { remote: link.remote },
      );
      return this.#hangUp(link);
    }
    this.learners.set(link.number, new LearnerLink(link, monoMs));
  }

  /** Who did not say who it is goes first. Observers stay: who finds no place here has other followers to go to. */
  #makeRoom(): boolean {
    const least = [...this.learners.values()].find(({ phase }) => phase === "info");
    if (least === undefined) return false;
    this.#drop(least, "learner_many", `${this.learners.size} are there, and another came`);
    return true;
  }

  #hangUp(link: Link): void {
    if (link.closed) return;
    link.closed = true;
    this.#host.outbox.linksClosing.push(link);
  }

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
    this.#paused.delete(learner.link);
    this.#sync.release(learner);
    learner.live = false;
    learner.input.drop();
  }

  bytes(number: number, bytes: Uint8Array, start: number, end: number, monoMs: number): void {
    this.#nowMs = monoMs;
    const learner = this.learners.get(number);
    if (learner === undefined) return;
    const { packetBytesMax } = this.#host.lengths;
    const fault = learner.receive(bytes, start, end, monoMs, packetBytesMax, this.#heard);
    if (fault !== null) this.#drop(learner, "packet_damaged", fault);
  }

  drained(number: number, monoMs: number): void {
    this.#nowMs = monoMs;
    const learner = this.learners.get(number);
    if (learner !== undefined) this.#sync.drained(learner);
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

  // ------------------------------------------------------------------------------- getting level

  #hearInfo(learner: LearnerLink, packet: Packet): void {
    learner.observer = true;
    if (packet.type !== PacketType.ObserverInfo) {
      return this.#drop(
        learner,
        "packet_first",
        `the first packet is ${packetName(packet.type)}, and this port is for observers`,
      );
    }
    const info = readLearnerInfo(packet);
    if (info === null || info.protocolVersion < quorumProtocolVersion) {
      return this.#drop(
        learner,
        "learner_old",
        "its first packet names no server, or a protocol from before 3.4",
      );
    }
    learner.sid = info.sid;
    learner.epochAccepted = epochOf(packet.zxid as Zxid);
    if (!(learner.epochAccepted >= 0 && learner.epochAccepted <= this.#epoch)) {
      // It may not follow us; a later leader is there, or will be.
      return this.#drop(
        learner,
        "epoch_later",
        `it has accepted epoch ${learner.epochAccepted}, ours is ${this.#epoch}`,
      );
    }
    const { out } = learner.link;
    const at = beginPacket(out, PacketType.LeaderInfo, zxidOf(this.#epoch, 0));
    out.i32(quorumProtocolVersion);
    endPacket(out, at);
    this.#host.outbox.touchLink(learner.link);
    learner.phase = "ackEpoch";
  }

  #hearAckEpoch(learner: LearnerLink, packet: Packet): void {
    if (packet.type !== PacketType.AckEpoch || packet.dataBytes < 4) {
      return this.#drop(learner, "packet_epoch", `${packetName(packet.type)} where ACKEPOCH was due`);
    }
    learner.zxidOwn = packet.zxid;
    learner.phase = "waiting";
    this.#syncWhenThere(learner);
  }

  /**
   * An observer that hung on somebody quicker may have txns of this epoch that are not committed here
   * yet. They are on their way to us, and nothing that a client has seen may be taken back.
   */
  #syncWhenThere(learner: LearnerLink): void {
    const { zxidOwn } = learner;
    const isAhead = zxidOwn > this.#host.ledger.committed && epochOf(zxidOwn as Zxid) === this.#epoch &&
      counterOf(zxidOwn as Zxid) > 0;
    if (!isAhead) this.#sync.begin(learner, this.#nowMs);
  }

  #hearNewLeaderAck(learner: LearnerLink, packet: Packet): void {
    if (packet.type !== PacketType.Ack) {
      return this.#drop(
        learner,
        "packet_ack",
        `${packetName(packet.type)} where the ACK of NEWLEADER was due`,
      );
    }
    if (packet.zxid !== zxidOf(this.#epoch, 0)) return;
    learner.newLeaderAcked = true;
    learner.syncMs = this.#nowMs - learner.syncStartedMs;
    learner.phase = "active";
    writePacket(learner.link.out, PacketType.UpToDate, -1);
    this.#host.outbox.touchLink(learner.link);
    this.#host.outbox.note("info", "learner_synced", `Synchronized ${learner.name} by ${learner.syncKind}`, {
      sid: learner.sid,
      kind: learner.syncKind ?? "none",
      tookMs: Math.round(learner.syncMs),
      zxid: zxidHex(learner.sent as Zxid),
    });
  }

  // ----------------------------------------------------------------------------------- broadcast

  /** The leader told with the commit of this txn who is to lead the members that it names. */
  activates(zxid: number, designated: Uint8Array): void {
    this.#activation = { zxid, designated };
  }

  /** This txn commits here now. */
  committed(bytes: Uint8Array, start: number, end: number, zxid: number): void {
    for (const learner of this.learners.values()) {
      if (!learner.live) continue;
      const { out } = learner.link;
      if (this.#activation?.zxid === zxid) {
        const at = beginPacket(out, PacketType.InformAndActivate, zxid);
        out.raw(this.#activation.designated);
        out.rawRange(bytes, start, end);
        endPacket(out, at);
      } else writeDataPacket(out, PacketType.Inform, zxid, bytes, start, end);
      learner.sent = zxid;
      learner.packetsSent++;
      this.#host.outbox.touchLink(learner.link);
    }
  }

  /** All that could be committed now is, and is in the tree. */
  settled(): void {
    for (const learner of this.learners.values()) {
      if (learner.phase === "waiting") this.#syncWhenThere(learner);
    }
  }

  #hearActive(learner: LearnerLink, packet: Packet): void {
    switch (packet.type) {
      case PacketType.Ping: {
        if (learner.pingsAnswered < learner.pingsSent) learner.pingsAnswered++;
        const r = packet.data();
        while (r.left >= 12) {
          const hi = r.i32();
          const lo = r.i32();
          r.i32();
          this.#host.touched(hi, lo);
        }
        return;
      }
      case PacketType.Request:
        if (packet.dataBytes < 16) return this.#drop(learner, "request_short", "a REQUEST without a head");
        learner.requests++;
        this.#host.request(learner, packet);
        return this.#holdBack(learner);
      case PacketType.Revalidate: {
        const r = packet.data();
        const hi = r.i32();
        const lo = r.i32();
        if (r.failed) return this.#drop(learner, "revalidate_short", "a REVALIDATE without a session");
        this.#host.revalidate(learner, hi, lo, packet);
        return this.#holdBack(learner);
      }
      default:
        // Its ACK of UPTODATE too: whether an observer has something on its disk is nobody's business.
        return;
    }
  }

  /** The leader takes less than our observers want: it shall wait with them and not with us. */
  #holdBack(learner: LearnerLink): void {
    const { upstream } = this.#host;
    if (upstream.unsentBytes + upstream.out.length < unsentBytesPause) return;
    learner.link.paused = true;
    this.#paused.add(learner.link);
  }

  /** The answer to a sync of one of its clients, behind the txns that were sent already. */
  answerSync(learner: LearnerLink): void {
    if (learner.link.closed) return;
    writePacket(learner.link.out, PacketType.Sync, 0);
    this.#host.outbox.touchLink(learner.link);
  }

  revalidated(learner: LearnerLink, hi: number, lo: number, valid: boolean): void {
    if (learner.link.closed) return;
    const { out } = learner.link;
    const at = beginPacket(out, PacketType.Revalidate, -1);
    out.i64Halves(hi, lo);
    out.bool(valid);
    endPacket(out, at);
    this.#host.outbox.touchLink(learner.link);
  }

  // ---------------------------------------------------------------------------------------- time

  tick(monoMs: number): void {
    this.#nowMs = monoMs;
    this.#endSilent(monoMs);
    const { upstream } = this.#host;
    if (this.#paused.size > 0 && upstream.unsentBytes + upstream.out.length < unsentBytesPause) {
      for (const link of this.#paused) link.paused = false;
      this.#paused.clear();
    }
    if (monoMs < this.#pingAtMs) return;
    const period = this.#host.tickMs / 2;
    this.#pingAtMs = Math.max(this.#pingAtMs + period, monoMs + period / 2);
    for (const learner of this.learners.values()) {
      if (learner.phase !== "newLeader" && learner.phase !== "active") continue;
      if (learner.phase === "active") learner.pingsSent++;
      learner.packetsSent++;
      writePacket(learner.link.out, PacketType.Ping, this.#host.ledger.proposed);
      this.#host.outbox.touchLink(learner.link);
    }
  }

  #endSilent(monoMs: number): void {
    for (const learner of [...this.learners.values()]) {
      const { link } = learner;
      const limitMs = learner.phase === "active" ? this.#syncMs : this.#initMs;
      const silentMs = monoMs - (learner.phase === "info" ? learner.openedMs : learner.heardMs);
      // While its snapshot is on its way, and while we do not read, nothing is due from there.
      const isDue = !link.paused && !(learner.phase === "sync" && link.unsentBytes === 0);
      if (silentMs > limitMs && isDue) {
        this.#drop(learner, "learner_silent", `nothing was heard for ${Math.round(silentMs)} ms`);
      } else if (link.unsentBytes > this.#host.lengths.quorumUnsentBytesMax) {
        this.#drop(learner, "learner_slow", `${link.unsentBytes} bytes wait to be read by it`);
      }
    }
  }

  /** We follow no more. */
  end(): void {
    this.#ended = true;
    for (const learner of [...this.learners.values()]) {
      this.#hangUp(learner.link);
      this.#part(learner);
    }
  }
}
