/**
 * Peer: one whole member of the ensemble, or one that stands alone.
 *
 * `step(event)` is the only way in; out come the outbox and, one at a time, commands for the disk
 * (`takeDisk`). Here the rooms meet: the election says who leads; leader and learner order txns that
 * they never open; the judge makes txns of requests; the applier makes them the tree.
 *
 * ```
 *              ┌───────────── quorum or leader lost ─────────────┐
 *              ▼                                                 │
 *  settling ──the disk is quiet──► looking ──decided──► leading or learning
 *              (what was accepted is durable, so the vote covers all that was ever acknowledged)
 * ```
 *
 * Always true: nothing is answered before its txn is committed; memory holds committed txns alone, so
 * nothing is ever taken back from the tree; an event leaves before the reply that could reveal its
 * change.
 */
import { assert, must, unreachable } from "../base/assert.ts";
import { bytesEqualAt } from "../base/bytes.ts";
import { LatencyHistogram } from "../base/histogram.ts";
import { appendBytesPause, counterMax, frameBytesMax, historyBytesDefault } from "../base/limits.ts";
import {
  counterOf,
  epochOf,
  sessionHex,
  type SessionId,
  sessionIdOf,
  type Zxid,
  zxidHex,
  zxidNext,
} from "../base/zxid.ts";
import { Election } from "../election/election.ts";
import { Applier } from "../ops/applier.ts";
import { Judge } from "../ops/judge.ts";
import { prepare } from "../ops/table.ts";
import { Reads } from "../ops/reads.ts";
import { sessionIdFirst } from "../session/password.ts";
import { type Session, SessionTable } from "../session/table.ts";
import { Overlay } from "../tree/overlay.ts";
import { Quotas } from "../tree/quota.ts";
import { Tree } from "../tree/tree.ts";
import { WatchTable } from "../watch/table.ts";
import { ErrorCode } from "../wire/errors.ts";
import { OpCode } from "../wire/opcodes.ts";
import type { Packet } from "../wire/packets.ts";
import { Reader } from "../wire/reader.ts";
import type { Id } from "../wire/records.ts";
import { digestVersion, txnHeaderAt, txnHeaderBytes } from "../wire/txns.ts";
import { Writer } from "../wire/writer.ts";
import type { DiskCommand, LogChunk } from "../zab/disk.ts";
import type { EnsembleOptions } from "../zab/ensemble.ts";
import { Leader } from "../zab/leader.ts";
import { Learner } from "../zab/learner.ts";
import type { LearnerLink } from "../zab/learner_link.ts";
import { Ledger } from "../zab/ledger.ts";
import { Link } from "../zab/link.ts";
import { ObserverMaster } from "../zab/observer_master.ts";
import { Clients, type Road } from "./clients.ts";
import type { Waiting } from "./client_order.ts";
import { type Connection, ConnectionState } from "./connection.ts";
import { ConnectionTable } from "./connection_table.ts";
import { PeerCounters } from "./counters.ts";
import { DiskQueue } from "./disk_queue.ts";
import type { PeerEvent } from "./events.ts";
import { HeldLinks } from "./held_links.ts";
import { Loader } from "./loader.ts";
import type { PeerOptions } from "./options.ts";
import { Outbox } from "./outbox.ts";
import { Reaper } from "./reaper.ts";
import type { ServingMode } from "./status.ts";

export type { PeerOptions };

/** A gap between ticks shorter than this is no gap. */
const clockGapMsMin = 3000;
/** A leader that was chosen, could not be reached and is not connected for elections either is given up after this. */
const leaderGoneMs = 500;

/** So many leaders that come to nothing cost no time; behind more a pause, which doubles. */
const disappointmentsFree = 5;
const disappointedMsMin = 50;
const disappointedMsMax = 1000;

/** What the disk says that it holds; without the later three, as one that stood alone left it. */
export interface Begun {
  readonly zxidLast: Zxid;
  readonly zxidCommitted?: Zxid;
  readonly epochAccepted?: number;
  readonly epochCurrent?: number;
}

/** Whom a learner wants to be connected to. The same object while it is the same wish. */
export interface DialWanted {
  readonly sid: number;
  /** Any follower's port for observers will do. */
  readonly observerMaster: boolean;
}

export type PeerPart = "standalone" | "settling" | "looking" | "leading" | "learning";

const packetBytesMax = 2 * frameBytesMax + 2;

export class Peer implements Road {
  readonly tree: Tree;
  readonly sessions: SessionTable;
  readonly dataWatches: WatchTable;
  readonly childWatches: WatchTable;
  readonly quotas: Quotas;
  readonly applier: Applier;
  readonly counters = new PeerCounters();
  readonly outbox = new Outbox();
  readonly options: PeerOptions;
  readonly clients: Clients;
  readonly packetBytesMax = packetBytesMax;
  readonly tickMs: number;
  /** `ensemble` of the options; who stands alone has none. */
  readonly member: EnsembleOptions | null;
  readonly election: Election | null;
  ledger: Ledger;
  part: PeerPart = "settling";
  leader: Leader | null = null;
  learner: Learner | null = null;
  /** While we follow, where observers may hang on followers. */
  master: ObserverMaster | null = null;
  /** As they are on the disk. */
  epochs = { accepted: 0, current: 0 };

  readonly #table: ConnectionTable;
  readonly #overlay: Overlay;
  readonly #judge: Judge;
  readonly #reaper: Reaper;
  readonly #body = new Writer(1024);
  readonly #disk = new DiskQueue();
  readonly #held: HeldLinks;
  readonly #logReads = new Map<number, (chunk: LogChunk) => void>();
  #logReadNext = 1;
  #linkNext = 1;
  #sessionNext: SessionId;
  #wallMs: number;
  #monoMs: number;
  #tickLastMonoMs: number;
  #loaded = false;
  #loader: Loader | null = null;
  #dial: DialWanted | null = null;
  #leaderGoneAtMs = Infinity;
  /** An observer that lost its leader looks for another from here on. */
  #lookAtMs = 0;
  /** Leaders in a row, ourselves among them, that came to nothing for us. */
  #disappointments = 0;
  /** A member promised this epoch to somebody; we learned it as a leader of an earlier one. */
  #epochSeen = 0;
  /** Mismatches that were there when what is in memory was last all of one time. */
  #digestsBefore = 0;
  /** Memory is half of a snapshot: it has to be read from the disk before anything else. */
  #isTorn = false;
  /** Memory and disk are a snapshot of a leader that may never have had its quorum. */
  #isProvisional = false;
  #fromNothing = false;
  /** Learners whose links are held back, because too much waits for the disk. */
  readonly #pausedLinks = new Set<Link>();
  /** Of a learner: sessions that its clients asked for, and those that came back and wait for the leader's word. */
  readonly #offered = new Map<SessionId, Connection>();
  #returning: { readonly id: SessionId; readonly answer: (valid: boolean) => void }[] = [];
  #syncs: (() => void)[] = [];
  #touched = new Set<Session>();
  /** On a leader: to whom a session will belong once it is there. */
  readonly #owners = new Map<SessionId, number>();
  #seed: number;

  // For operators.
  elections = 0;
  electionMsLast = 0;
  syncMsLast = 0;
  syncKindLast: "diff" | "trunc" | "snap" | null = null;
  forwarded = 0;
  proposals = 0;
  /** When the part was last taken or left. */
  phaseSinceMs = 0;
  proposalsReceived = 0;
  commitsReceived = 0;
  proposalBytesLast = -1;
  proposalBytesMin = -1;
  proposalBytesMax = -1;
  readonly electionTimes = new LatencyHistogram();
  readonly syncTimes = new LatencyHistogram();
  readonly unavailableTimes = new LatencyHistogram();
  readonly quorumTimes = new LatencyHistogram();
  #lookedAtMs = 0;
  #decidedAtMs = 0;
  #unavailableAtMs: number;
  servingSinceMs = 0;

  constructor(options: PeerOptions) {
    this.options = options;
    const { hashSeed } = options;
    this.tickMs = options.tickMs;
    this.member = options.ensemble ?? null;
    this.tree = new Tree({ digestEnabled: options.digestEnabled, hashSeed });
    this.dataWatches = new WatchTable(hashSeed);
    this.childWatches = new WatchTable(hashSeed);
    this.#table = new ConnectionTable(this.outbox, this.counters, [this.dataWatches, this.childWatches]);
    this.sessions = new SessionTable(options.tickMs);
    this.quotas = new Quotas(this.tree, { enforce: options.judge.enforceQuota });
    this.#overlay = new Overlay(this.tree);
    this.#judge = new Judge(this.tree, this.#overlay, this.quotas, {
      ...options.judge,
      multiCreatesPlain: this.member !== null,
    });
    this.#reaper = new Reaper(this.tree, options.reaper, options.bornMonoMs);
    this.applier = new Applier({
      tree: this.tree,
      overlay: this.#overlay,
      quotas: this.quotas,
      sessions: this.sessions,
      data: this.dataWatches,
      child: this.childWatches,
      listeners: this.#table,
      skipAcl: options.judge.skipAcl,
    });
    this.clients = new Clients({
      options,
      outbox: this.outbox,
      counters: this.counters,
      table: this.#table,
      sessions: this.sessions,
      reads: new Reads(this.tree, this.dataWatches, this.childWatches, { skipAcl: options.judge.skipAcl }),
      applier: this.applier,
      road: this,
    });
    this.ledger = this.#newLedger(0 as Zxid);
    this.#held = new HeldLinks(this.outbox);
    this.election = this.member === null
      ? null
      : new Election(this.member, (to, bytes) => this.outbox.votes.push({ to, bytes }));
    this.#sessionNext = this.#sessionFirst();
    this.#seed = (hashSeed ^ 0x9e3779b9) | 1;
    this.#wallMs = options.bornWallMs;
    this.#monoMs = options.bornMonoMs;
    this.#tickLastMonoMs = options.bornMonoMs;
    this.#unavailableAtMs = options.bornMonoMs;
  }

  /**
   * Only 8 bits of a sid enter the ids of sessions. Members that differ in them never give out the same;
   * observers that no configuration knows may agree in them and be born in the same millisecond, so
   * more bits of theirs say where the ids begin.
   */
  #sessionFirst(): SessionId {
    const { options, member } = this;
    const first = sessionIdFirst(options.serverId, options.bornWallMs);
    if (member === null || member.members.includes(member.sid)) return first;
    return first + BigInt(Math.floor(member.sid / 0x100) % 0x1_0000) as SessionId;
  }

  #newLedger(zxid: Zxid): Ledger {
    return new Ledger(zxid, this.member === null ? 0 : this.member.historyBytesMax || historyBytesDefault);
  }

  // -------------------------------------------------------------------------------------- birth

  /** Fills the peer from the disk; `begin` must follow. */
  loader(): Loader {
    assert(!this.#loaded, "a peer is loaded once");
    return this.#makeLoader();
  }

  #makeLoader(): Loader {
    return this.#loader = new Loader(this.tree, this.sessions, this.applier, this.member !== null);
  }

  /** For the disk command `reload`: memory is empty again and is filled through this. */
  reloader(): Loader {
    this.#clearMemory();
    return this.#makeLoader();
  }

  #clearMemory(): void {
    this.tree.clear();
    this.sessions.clear();
    this.applier.zxid = 0;
    this.applier.digests.length = 0;
    this.#overlay.drop();
    this.quotas.rebuild();
  }

  /** All that the disk holds is in memory: from here on events are taken. */
  begin(begun: Begun, monoMs: number): void {
    assert(!this.#loaded, "a peer begins once");
    this.#loaded = true;
    this.#tickLastMonoMs = this.#monoMs = this.#lookedAtMs = monoMs;
    const epoch = epochOf(begun.zxidLast);
    this.epochs = { accepted: begun.epochAccepted ?? epoch, current: begun.epochCurrent ?? epoch };
    this.#afterLoad();
    if (this.member === null) {
      // Somebody who stood alone all the time may have a log whose end no row names.
      if (begun.zxidLast > this.ledger.proposed) this.ledger = this.#newLedger(begun.zxidLast);
      this.applier.zxid = Math.max(this.applier.zxid, begun.zxidLast);
      this.part = "standalone";
      this.#opened();
      return;
    }
    assert(this.ledger.proposed === begun.zxidLast || this.#loader === null, "the log was read to its end");
    this.#loader = null;
    this.#settled();
  }

  /** What was loaded is made ready, and the ledger begins where it ends. */
  #afterLoad(): void {
    if (this.tree.findText("/zookeeper") === 0) this.tree.makeReserved();
    this.quotas.rebuild();
    this.#overlay.drop();
    // A member's table may be a snapshot that was taken while the tree changed: it is told once it follows.
    if (this.member === null) this.#tellDigests("the txns read from the log");
    this.ledger = this.#newLedger(this.applier.zxid as Zxid);
    const tail = this.#loader?.tail;
    if (tail !== undefined && tail.length > 0) {
      const r = new Reader(tail.bytes, 0, tail.length);
      while (r.left > 0) {
        const length = r.span();
        const { zxid } = txnHeaderAt(tail.bytes, r.at - length, r.at);
        this.ledger.accept(tail.bytes, r.at - length, r.at, zxid as Zxid, this.#monoMs);
      }
    }
    this.ledger.loaded();
    this.#tellConfig();
  }

  /** `/zookeeper/config` shows the members, as in the original; the txns never carry it. */
  #tellConfig(): void {
    if (this.member === null) return;
    this.tree.setConfig(
      new TextEncoder().encode(this.member.configText),
      this.member.configVersion,
      this.#wallMs,
    );
  }

  #tellDigests(what: string): void {
    const count = this.applier.digestMismatches - this.#digestsBefore;
    if (count === 0) return;
    this.outbox.note(
      "warn",
      "digest_mismatch",
      `${count} of ${what} left another tree than when they were written: compare with another copy`,
      { mismatches: count, zxid: zxidHex(this.zxid) },
    );
  }

  /** All that was committed when this epoch began has been applied: what came right is no mismatch. */
  #settleDigests(): void {
    this.applier.forgiveDigests(this.#digestsBefore);
    this.#tellDigests("the txns that were replayed");
  }

  get zxid(): Zxid {
    return this.applier.zxid as Zxid;
  }

  get inFlight(): number {
    return this.ledger.inFlight;
  }

  get appendBytesWaiting(): number {
    return this.ledger.bytesWaiting;
  }

  /** The next command for the disk, or null. One at a time: the next after `durable` or `stored`. */
  takeDisk(): DiskCommand | null {
    return this.#disk.take(this.ledger);
  }

  /** The turn ends now: what was read in it took this long. */
  timeReads(monoMs: number): void {
    const { clients } = this;
    const latency = Math.max(0, monoMs - this.#monoMs);
    for (; clients.readsUntimed > 0; clients.readsUntimed--) {
      this.counters.latency.record(latency);
      this.counters.read.record(latency);
    }
  }

  get hasUntimedReads(): boolean {
    return this.clients.readsUntimed > 0;
  }

  // --------------------------------------------------------------------------------- connections

  /** A client's line is there. `address` is as Java would write it. */
  open(address: string, port: number, secure: boolean, monoMs: number): Connection {
    return this.#table.open(address, port, secure, monoMs);
  }

  /** By number; 0 is nobody. */
  get connections(): readonly (Connection | null)[] {
    return this.#table.list;
  }

  get connectionCount(): number {
    return this.#table.count;
  }

  /** Requests without an answer, over all connections. */
  get outstanding(): number {
    return this.#table.outstanding;
  }

  /** Bytes of the reads among them, which wait behind writes. */
  get waitingBytes(): number {
    return this.#table.waitingBytes;
  }

  /** Somebody connected to our quorum port, or to the one for observers. */
  acceptLink(remote: string, monoMs: number, port: "quorum" | "observers" = "quorum"): Link {
    const link = new Link(this.#linkNext++, remote);
    if (port === "observers") {
      if (this.master !== null) this.master.accept(link, monoMs);
      else this.#refuse(link);
    } else if (this.leader !== null) this.leader.accept(link, monoMs);
    else this.#held.add(link, monoMs);
    return link;
  }

  #refuse(link: Link): void {
    link.closed = true;
    this.outbox.linksClosing.push(link);
  }

  /** The shell should listen on the port for observers. */
  get servesObservers(): boolean {
    return this.master !== null;
  }

  /** The connection that `dialWanted` asked for is there; `sid` is whose, where it is not the leader's. */
  dialed(remote: string, monoMs: number, sid?: number): Link {
    const link = new Link(this.#linkNext++, remote);
    this.#dial = null;
    if (this.learner?.phase === "dial") this.learner.dialed(link, monoMs, sid);
    else this.#refuse(link);
    return link;
  }

  /** Whom the shell should be trying to reach. */
  get dialWanted(): DialWanted | null {
    return this.#dial;
  }

  /** Something waits for a time that is near: the shell should tick every ten milliseconds or so. */
  get wantsFineTicks(): boolean {
    return this.part === "looking" || this.part === "settling" || this.learner?.phase === "dial" ||
      (this.learner !== null && this.learner.phase !== "broadcast");
  }

  // --------------------------------------------------------------------------------------- step

  step(event: PeerEvent): Outbox {
    const { clients } = this;
    this.#wallMs = clients.wallMs = event.wallMs;
    this.#monoMs = clients.monoMs = event.monoMs;
    switch (event.kind) {
      case "clientFrame": {
        const connection = this.#table.get(event.connection);
        if (connection !== null) clients.frame(connection, event.bytes, event.start, event.end);
        break;
      }
      case "clientClosed": {
        const connection = this.#table.get(event.connection);
        if (connection !== null && connection.state !== ConnectionState.Closed) {
          this.#table.forget(connection);
        }
        break;
      }
      case "durable":
        this.#disk.done(true);
        this.ledger.durableUpTo(event.last);
        this.#durable();
        this.#settled();
        break;
      case "stored":
        if (this.#isTorn && this.#loader !== null) this.#reloaded();
        this.#disk.done(false);
        this.#settled();
        break;
      case "tick":
        this.#tick();
        break;
      case "vote":
        this.election?.heard(event.from, event.bytes, event.monoMs);
        if (this.election?.deserted === true) this.#leave("those who chose this leader chose again");
        this.#tellVoters();
        this.#decided();
        break;
      case "voterUp":
        this.election?.up(event.sid, event.monoMs);
        if (this.learner?.leader === event.sid) this.#leaderGoneAtMs = Infinity;
        this.#decided();
        break;
      case "voterDown":
        this.election?.down(event.sid, event.monoMs);
        if (this.learner?.leader === event.sid) this.#leaderGoneAtMs = event.monoMs;
        this.#decided();
        break;
      case "linkBytes":
        if (this.leader !== null) {
          this.leader.bytes(event.link, event.bytes, event.start, event.end, event.monoMs);
        } else if (this.learner !== null) {
          this.learner.bytes(event.link, event.bytes, event.start, event.end, event.monoMs);
          this.master?.bytes(event.link, event.bytes, event.start, event.end, event.monoMs);
        }
        this.#held.bytes(event.link, event.bytes, event.start, event.end);
        break;
      case "linkClosed":
        this.leader?.closed(event.link, event.monoMs);
        this.learner?.closed(event.link);
        this.master?.closed(event.link, event.monoMs);
        this.#held.closed(event.link);
        break;
      case "linkDrained":
        this.leader?.drained(event.link, event.monoMs);
        this.master?.drained(event.link, event.monoMs);
        break;
      case "logChunk": {
        const then = this.#logReads.get(event.read);
        this.#logReads.delete(event.read);
        then?.(event.chunk);
        break;
      }
      default:
        unreachable(event);
    }
    return this.outbox;
  }

  #tick(): void {
    const late = this.#monoMs - this.#tickLastMonoMs;
    this.#tickLastMonoMs = this.#monoMs;
    // A process that was stopped or starved has heard nobody meanwhile: first let the pings in.
    if (late > Math.max(3 * this.tickMs, clockGapMsMin)) {
      this.outbox.note(
        "warn",
        "clock_gap",
        `Did not run for ${Math.round(late)} ms: sessions get that time back`,
        { gapMs: Math.round(late) },
      );
      for (const session of this.sessions.all()) {
        session.deadlineMs += Math.ceil(late / this.tickMs) * this.tickMs;
      }
    }
    this.election?.tick(this.#monoMs);
    this.#decided();
    this.#held.tick(this.#monoMs, (this.member?.initLimit ?? 0) * this.tickMs);
    this.leader?.tick(this.#monoMs);
    this.learner?.tick(this.#monoMs);
    this.master?.tick(this.#monoMs);
    if (this.learner?.phase === "dial" && this.#monoMs - this.#leaderGoneAtMs > leaderGoneMs) {
      this.lost(`server ${this.learner.leader} was chosen and is gone`);
    }
    this.#settled();
    if (this.#proposes) this.#housekeep();
  }

  /** Sessions that expired, containers that are empty: who proposes looks after them. */
  #housekeep(): void {
    for (const session of this.sessions.expired(this.#monoMs)) {
      this.counters.sessionsExpired++;
      this.outbox.note(
        "info",
        "session_expired",
        `Expiring session ${sessionHex(session.id)}, timeout of ${session.timeoutMs}ms exceeded`,
        { session: sessionHex(session.id), timeoutMs: session.timeoutMs },
      );
      this.#proposeExpiry(session);
      // That may have been the last zxid of the epoch: the next leader looks after the others.
      if (!this.#proposes) return;
    }
    for (const path of this.#reaper.due(this.#wallMs, this.#monoMs)) {
      const body = new Writer(64);
      body.string(path);
      this.#propose(OpCode.DeleteContainer, null, null, 0, body.bytes, 0, body.length, []);
      if (!this.#proposes) return;
    }
  }

  #proposeExpiry(session: Session): void {
    if (session.closing) return;
    this.#propose(OpCode.CloseSession, null, session, 0, this.#body.bytes, 0, 0, []);
  }

  // --------------------------------------------------------------------------------------- parts

  /** Txns are made here: we stand alone, or lead with a quorum behind us. */
  get #proposes(): boolean {
    return this.part === "standalone" || this.leader?.phase === "broadcast";
  }

  get serving(): boolean {
    if (this.part === "standalone") return true;
    if (this.learner !== null) return this.learner.phase === "broadcast";
    return this.leader?.phase === "broadcast" && must(this.member, "a leader is a member").leaderServes;
  }

  /** As `srvr` says it. */
  get mode(): ServingMode {
    if (this.part === "standalone") return "standalone";
    if (this.leader?.phase === "broadcast") return "leader";
    if (this.learner?.phase !== "broadcast") return "not-serving";
    return must(this.member, "a learner is a member").observer ? "observer" : "follower";
  }

  /** We lead, and a quorum follows. */
  get isLeading(): boolean {
    return this.leader?.phase === "broadcast";
  }

  /** Of the last leader that we followed or were. */
  get epoch(): number {
    return this.epochs.current;
  }

  get zxidSeenMax(): number {
    // An epoch's first zxid is no txn, but leaders of the original tell it to their clients.
    return this.member === null ? this.zxid : Math.max(this.zxid, this.epochs.current * 0x1_0000_0000);
  }

  /** We may propose from now on: whoever is alive gets the full time again, and what nobody owns goes. */
  #opened(): void {
    this.#overlay.drop();
    this.sessions.watchAll(this.#monoMs);
    // The original drops ephemerals without a session from memory alone; a txn says it to the log too.
    for (const id of [...this.tree.ephemerals.keys()]) {
      if (this.sessions.get(id) === undefined) this.#proposeExpiry(this.sessions.open(id, 0));
    }
  }

  /** Our part ends: nobody is served, nothing that was on its way will be answered. */
  #leave(reason: string): void {
    if (this.part === "settling" || this.part === "looking") return;
    const wasServing = this.serving;
    this.outbox.note("warn", "part_left", `No longer ${this.part}: ${reason}`, {
      epoch: this.epochs.current,
    });
    this.part = "settling";
    if ((this.leader ?? this.learner)?.phase === "broadcast") {
      this.#digestsBefore = this.applier.digestMismatches;
    }
    const wasLevel = (this.leader ?? this.learner)?.phase === "broadcast";
    this.#disappointments = wasLevel ? 0 : this.#disappointments + 1;
    this.#epochSeen = Math.max(this.#epochSeen, this.leader?.epochSeen ?? 0);
    this.leader?.end();
    this.master?.end();
    if (this.learner?.end() === true) {
      this.#isTorn = true;
      // What came behind a snapshot that was never stored is of no use.
      this.#disk.held = false;
      this.ledger.reset(this.ledger.committed);
    }
    this.leader = null;
    this.learner = null;
    this.master = null;
    this.#dial = null;
    this.#table.closeAll();
    this.#offered.clear();
    this.#owners.clear();
    this.#logReads.clear();
    this.#pausedLinks.clear();
    this.#touched.clear();
    this.#returning = [];
    this.#syncs = [];
    this.ledger.orphan();
    this.#overlay.drop();
    this.quotas.settleAll();
    this.sessions.rest();
    if (wasServing) this.#unavailableAtMs = this.#monoMs;
    this.#lookedAtMs = this.phaseSinceMs = this.#monoMs;
    this.#lookAtMs = this.#monoMs + this.#pauseMs;
    const { observer, observerElectionDelayMs } = must(this.member, "only members have parts");
    if (observer) this.#lookAtMs += this.#random() * observerElectionDelayMs;
    this.election?.leave();
    this.#settled();
  }

  /** Who fails again and again with a leader that the others follow shall not do so a hundred times a second. */
  get #pauseMs(): number {
    const more = this.#disappointments - disappointmentsFree;
    return more <= 0 ? 0 : Math.min(disappointedMsMin * 2 ** (more - 1), disappointedMsMax);
  }

  #random(): number {
    let x = this.#seed;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#seed = x;
    return (x >>> 0) / 0x1_0000_0000;
  }

  /** Once the disk is quiet everything that was accepted is durable, and a vote may be cast for it. */
  #settled(): void {
    if (this.part !== "settling" || !this.#disk.idle || this.ledger.hasFilling) return;
    if (this.#isTorn) {
      this.#disk.push(this.ledger, { kind: "reload" }, () => {});
      return;
    }
    if (this.#monoMs < this.#lookAtMs) return;
    this.part = "looking";
    assert(this.ledger.durable === this.ledger.proposed, "who votes has its log on the disk");
    must(this.election, "only members elect").look(this.ledger.durable, this.epochs.current, this.#monoMs);
    this.#decided();
  }

  #reloaded(): void {
    this.#isTorn = false;
    this.#afterLoad();
    this.#loader = null;
  }

  #decided(): void {
    if (this.part !== "looking") return;
    const decision = this.election?.takeDecision() ?? null;
    if (decision === null) return;
    const member = must(this.member, "only members elect");
    this.elections++;
    this.electionMsLast = this.#monoMs - this.#lookedAtMs;
    this.electionTimes.record(this.electionMsLast);
    this.#decidedAtMs = this.phaseSinceMs = this.#monoMs;
    const leads = decision.leader === member.sid;
    this.outbox.note(
      "info",
      "elected",
      leads ? "Elected to lead" : `Server ${decision.leader} was elected to lead`,
      {
        leader: decision.leader,
        round: must(this.election, "only members elect").round,
        tookMs: Math.round(this.electionMsLast),
        zxid: zxidHex(this.ledger.durable),
      },
    );
    if (leads) {
      this.part = "leading";
      const accepted = Math.max(this.epochs.accepted, this.#epochSeen);
      this.leader = new Leader(this.#leaderHost, accepted, this.epochs.current, this.#monoMs);
      const { leader } = this;
      leader.begin();
      this.#held.release((link, bytes) => {
        // What one of them said may have ended it.
        if (this.leader !== leader) return this.#refuse(link);
        leader.accept(link, this.#monoMs);
        if (bytes.length > 0) leader.bytes(link.number, bytes, 0, bytes.length, this.#monoMs);
      });
      return;
    }
    this.part = "learning";
    this.#held.closeAll();
    this.#leaderGoneAtMs = Infinity;
    this.learner = new Learner(
      this.#learnerHost,
      decision.leader,
      this.epochs,
      this.#monoMs,
      this.#fromNothing,
    );
    this.#dial = { sid: decision.leader, observerMaster: member.observer && member.observerMasters };
  }

  /** Votes of one ensemble and of another never make a quorum, and nobody would know why. */
  #tellVoters(): void {
    const told = this.election?.takeVotersTold() ?? null;
    if (told === null) return;
    const { observer, quorum } = must(this.member, "only members elect");
    this.outbox.note(
      "warn",
      "voters_differ",
      `Server ${told.from} votes with ${told.voters.join(", ")}, and here the voters are ${
        quorum.voters.join(", ")
      }: ${
        observer
          ? "an observer has to know all of them, so name them in its configuration"
          : "all servers of an ensemble have to name the same"
      }`,
      { from: told.from, voters: told.voters.join(",") },
    );
  }

  /** The leader is lost to us, or could not be reached. */
  lost(reason: string): void {
    this.#leave(reason);
  }

  storeEpochs(accepted: number, current: number, then: () => void): void {
    assert(accepted >= this.epochs.accepted && current >= this.epochs.current, "epochs only grow");
    this.#disk.push(this.ledger, { kind: "epochs", accepted, current }, () => {
      this.epochs = { accepted, current };
      then();
    });
  }

  // ------------------------------------------------------------------------------------- leading

  readonly #leaderHost = {
    outbox: this.outbox,
    peer: this as Peer,
    get ledger(): Ledger {
      return this.peer.ledger;
    },
    get tree(): Tree {
      return this.peer.tree;
    },
    get sessions(): SessionTable {
      return this.peer.sessions;
    },
    get ensemble(): EnsembleOptions {
      return must(this.peer.member, "a leader is a member");
    },
    get tickMs(): number {
      return this.peer.tickMs;
    },
    packetBytesMax,
    storeEpochs: (accepted: number, current: number, then: () => void) =>
      this.storeEpochs(accepted, current, then),
    readLog: (after: Zxid, upTo: Zxid, then: (chunk: LogChunk) => void): number => {
      const read = this.#logReadNext++;
      this.#logReads.set(read, then);
      this.outbox.logReads.push({ read, after, upTo });
      return read;
    },
    established: (epoch: number) => this.#established(epoch),
    commit: (zxid: Zxid) => this.#commitUpTo(zxid),
    request: (learner: LearnerLink, packet: Packet) => this.#request(learner, packet),
    touched: (hi: number, lo: number) => {
      const session = this.sessions.find(hi, lo);
      if (session !== undefined && !session.closing) this.sessions.touch(session, this.#monoMs);
    },
    revalidate: (learner: LearnerLink, hi: number, lo: number): boolean => {
      const session = this.sessions.find(hi, lo);
      if (session === undefined || session.closing) return false;
      this.sessions.touch(session, this.#monoMs);
      session.owner = learner.link.number;
      return true;
    },
    parted: (learner: LearnerLink) => {
      this.#pausedLinks.delete(learner.link);
    },
    stepDown: (reason: string) => this.#leave(reason),
  };

  /** A quorum has our history and follows: it is committed, and from here on we propose. */
  #established(epoch: number): void {
    this.#commitUpTo(this.ledger.proposed);
    this.#settleDigests();
    this.#isProvisional = this.#fromNothing = false;
    must(this.election, "a leader was elected").followed(epoch);
    this.#reaper.restart(this.#monoMs);
    this.#nowServing("leading");
    this.#opened();
  }

  #nowServing(as: string): void {
    this.syncMsLast = this.#monoMs - this.#decidedAtMs;
    this.syncTimes.record(this.syncMsLast);
    this.unavailableTimes.record(this.#monoMs - this.#unavailableAtMs);
    this.servingSinceMs = this.phaseSinceMs = this.#monoMs;
    this.outbox.note("info", "serving", `Serving clients, ${as} in epoch ${this.epochs.current}`, {
      epoch: this.epochs.current,
      zxid: zxidHex(this.zxid),
      unavailableMs: Math.round(this.#monoMs - this.#unavailableAtMs),
    });
  }

  /** A wish of a learner's client. */
  #request(learner: LearnerLink, packet: Packet): void {
    const { bytes, dataStart, dataEnd } = packet;
    const r = this.#judge.reader;
    r.reset(bytes, dataStart, dataEnd);
    const hi = r.i32();
    const lo = r.i32();
    const cxid = r.i32();
    const op = r.i32();
    const start = r.at;
    this.counters.countRequest(op);
    switch (op) {
      case OpCode.Sync:
        return this.leader?.sync(() => this.leader?.answerSync(learner));
      case OpCode.CreateSession: {
        const id = sessionIdOf(hi, lo);
        this.#owners.set(id, learner.link.number);
        this.#propose(op, null, null, cxid, bytes, start, dataEnd, [], id);
        break;
      }
      case OpCode.SetData:
      case OpCode.Create:
      case OpCode.Create2:
      case OpCode.CreateContainer:
      case OpCode.CreateTtl:
      case OpCode.Delete:
      case OpCode.SetAcl:
      case OpCode.Check:
      case OpCode.Multi:
      case OpCode.Reconfig:
      case OpCode.DeleteContainer:
      case OpCode.CloseSession: {
        const session = this.sessions.find(hi, lo);
        const isClose = op === OpCode.CloseSession;
        let refusal: number = ErrorCode.Ok;
        if (session === undefined || session.closing) refusal = ErrorCode.SessionExpired;
        else if (!isClose && !this.#owns(session, learner.link.number)) refusal = ErrorCode.SessionMoved;
        if (session !== undefined) this.#identify(session, packet);
        const identities = session?.identities ?? [];
        const id = session === undefined ? sessionIdOf(hi, lo) : undefined;
        this.#propose(op, null, session ?? null, cxid, bytes, start, dataEnd, identities, id, refusal);
        break;
      }
      default:
        this.outbox.note("warn", "request_unknown", `Ignored op ${op} of ${learner.name}`, {
          sid: learner.sid,
        });
        return;
    }
    if (this.ledger.bytesWaiting > appendBytesPause) {
      learner.link.paused = true;
      this.#pausedLinks.add(learner.link);
    }
  }

  /** Who speaks for a session first owns it; another has to be told first (REVALIDATE). */
  #owns(session: Session, owner: number): boolean {
    if (session.owner === -1) session.owner = owner;
    return session.owner === owner;
  }

  #identify(session: Session, packet: Packet): void {
    const { bytes, authStart, authEnd } = packet;
    const known = session.identitiesBytes;
    if (known !== null && known.length === authEnd - authStart && bytesEqualAt(bytes, authStart, known)) {
      return;
    }
    session.identitiesBytes = bytes.slice(authStart, authEnd);
    session.identities = packet.identities();
  }

  // ------------------------------------------------------------------------------------ learning

  readonly #learnerHost = {
    outbox: this.outbox,
    peer: this as Peer,
    get ledger(): Ledger {
      return this.peer.ledger;
    },
    get tree(): Tree {
      return this.peer.tree;
    },
    get sessions(): SessionTable {
      return this.peer.sessions;
    },
    get ensemble(): EnsembleOptions {
      return must(this.peer.member, "a learner is a member");
    },
    get tickMs(): number {
      return this.peer.tickMs;
    },
    packetBytesMax,
    store: (command: DiskCommand, then: () => void) => this.#disk.push(this.ledger, command, then),
    storeEpochs: (accepted: number, current: number, then: () => void) =>
      this.storeEpochs(accepted, current, then),
    clearing: () => this.#clearMemory(),
    replaced: (zxid: Zxid) => {
      if (this.tree.findText("/zookeeper") === 0) this.tree.makeReserved();
      this.tree.endLoad();
      this.applier.zxid = zxid;
      this.quotas.rebuild();
      this.#overlay.drop();
      this.ledger.reset(zxid);
      this.#tellConfig();
      this.#isProvisional = true;
    },
    holdLog: () => {
      this.#disk.held = true;
    },
    storeReplacement: (zxid: Zxid) => this.#storeReplacement(zxid),
    followed: (epoch: number, committed: Zxid) => this.#followed(epoch, committed),
    commit: (zxid: Zxid, packets: number) => {
      this.commitsReceived += packets;
      this.proposalsReceived += packets;
      this.#commitUpTo(zxid);
      this.master?.settled();
    },
    activates: (zxid: number, designated: Uint8Array) => this.master?.activates(zxid, designated),
    synced: () => this.#syncs.shift()?.(),
    revalidated: (hi: number, lo: number, valid: boolean) => this.#revalidated(hi, lo, valid),
    touched: (tell: (hi: number, lo: number, timeoutMs: number) => void) => {
      for (const session of this.#touched) tell(session.hi, session.lo, session.timeoutMs);
      this.#touched.clear();
    },
    lost: (reason: string) => this.#leave(reason),
    cannotCut: (isCommitted: boolean) => {
      // Only what was never known to be committed may go, and all at once: the leader then sends a snapshot.
      if (!isCommitted || this.#isProvisional) this.#fromNothing = true;
    },
  };

  /** The end of a snapshot, and with it all that came behind it while the log was held. */
  #storeReplacement(zxid: Zxid): void {
    this.#disk.held = false;
    const batch = this.ledger.takeAppend();
    const tail = batch === null ? null : { ...batch, committed: this.ledger.committed };
    this.#disk.push(this.ledger, { kind: "replaceEnd", zxid, tail }, () => {
      if (tail === null) return;
      this.ledger.durableUpTo(tail.last);
      this.#durable();
    });
  }

  #followed(epoch: number, committed: Zxid): void {
    const learner = must(this.learner, "who follows is a learner");
    this.#commitUpTo(committed);
    this.#settleDigests();
    this.#isProvisional = this.#fromNothing = false;
    this.syncKindLast = learner.syncKind;
    must(this.election, "a learner was elected for").followed(epoch);
    const { observer, observerMasters } = must(this.member, "a learner is a member");
    if (observerMasters && !observer) this.master = this.#makeMaster(learner);
    this.#nowServing(observer ? "observing" : "following");
  }

  #makeMaster(learner: Learner): ObserverMaster {
    const master: ObserverMaster = new ObserverMaster(
      {
        // What it has of these stays the same while we follow.
        ...this.#leaderHost,
        upstream: must(learner.link, "who follows has a link"),
        request: (observer, packet) => {
          this.forwarded++;
          const r = packet.data();
          const session = this.sessions.find(r.i32(), r.i32());
          r.i32();
          const op = r.i32();
          // The leader answers syncs without a name, in the order in which they came to it.
          if (op === OpCode.Sync) this.#syncs.push(() => master.answerSync(observer));
          else if (
            session !== undefined && op !== OpCode.CloseSession && !this.#owns(session, observer.link.number)
          ) {
            // To the leader all that comes through us is ours, so it can't tell: what a client sent before
            // it moved between us and our observers ends here.
            this.outbox.note("debug", "session_moved", `Dropped a late request of ${sessionHex(session.id)}`);
            return;
          }
          learner.relay(packet);
        },
        revalidate: (observer, hi, lo, packet) => {
          const answer = (valid: boolean): void => master.revalidated(observer, hi, lo, valid);
          this.#returning.push({ id: sessionIdOf(hi, lo), answer });
          const session = this.sessions.find(hi, lo);
          if (session !== undefined) session.owner = observer.link.number;
          learner.relay(packet);
        },
        touched: (hi, lo) => {
          const session = this.sessions.find(hi, lo);
          if (session !== undefined) this.#touched.add(session);
        },
      },
      learner.epoch,
      this.#monoMs,
    );
    return master;
  }

  /** The leader's answers come in the order in which our own clients and our observers asked. */
  #revalidated(hi: number, lo: number, valid: boolean): void {
    const at = this.#returning.findIndex(({ id }) => id === sessionIdOf(hi, lo));
    const [returning] = at < 0 ? [] : this.#returning.splice(at, 1);
    returning?.answer(valid);
  }

  #return(connection: Connection, id: SessionId, timeoutMs: number, valid: boolean): void {
    if (connection.state !== ConnectionState.Opening) return;
    const session = this.sessions.get(id);
    if (!valid || session === undefined) return this.clients.refuseSession(connection, id);
    this.clients.takeOver(connection, session, timeoutMs);
  }

  // ---------------------------------------------------------------------------------------- road

  write(
    op: number,
    connection: Connection,
    session: Session,
    xid: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    if (this.learner === null) {
      const moved = this.leader !== null && op !== OpCode.CloseSession && !this.#owns(session, 0);
      const refusal = moved ? ErrorCode.SessionMoved : ErrorCode.Ok;
      this.#propose(
        op,
        connection,
        session,
        xid,
        bytes,
        start,
        end,
        connection.identities,
        undefined,
        refusal,
      );
      return;
    }
    // It moved to one of our observers: to the leader we would still be speaking for it.
    if (this.master !== null && op !== OpCode.CloseSession && !this.#owns(session, 0)) {
      return this.#table.close(connection);
    }
    this.forwarded++;
    this.#table.pushWrite(connection);
    connection.pushForwarded(xid);
    this.learner.request(session.hi, session.lo, xid, op, bytes, start, end, connection.identities);
    if (op === OpCode.Create) connection.plainCreates.add(xid);
  }

  createSession(connection: Connection, timeoutMs: number): void {
    let id = this.#sessionNext;
    // A clock that was set back may offer the id of a session that lives.
    while (this.sessions.get(id) !== undefined) id = (id + 1n) as SessionId;
    this.#sessionNext = (id + 1n) as SessionId;
    connection.sessionOffered = id;
    const body = this.#body;
    body.clear();
    body.i32(timeoutMs);
    if (this.learner === null) {
      this.#owners.set(id, 0);
      this.#propose(OpCode.CreateSession, connection, null, 0, body.bytes, 0, body.length, [], id);
      return;
    }
    this.forwarded++;
    this.#offered.set(id, connection);
    const hi = Number(BigInt.asIntN(32, id >> 32n));
    const lo = Number(BigInt.asIntN(32, id));
    this.learner.request(hi, lo, 0, OpCode.CreateSession, body.bytes, 0, body.length, null);
  }

  reattach(connection: Connection, id: SessionId, timeoutMs: number): void {
    const session = this.sessions.get(id);
    if (this.learner !== null) {
      this.#returning.push({ id, answer: (valid) => this.#return(connection, id, timeoutMs, valid) });
      if (session !== undefined) session.owner = 0;
      const hi = Number(BigInt.asIntN(32, id >> 32n));
      this.learner.revalidate(hi, Number(BigInt.asIntN(32, id)), timeoutMs);
      return;
    }
    if (session === undefined || session.closing) return this.clients.refuseSession(connection, id);
    session.owner = 0;
    this.clients.takeOver(connection, session, timeoutMs);
  }

  get syncAtOnce(): boolean {
    return this.member === null;
  }

  sync(connection: Connection, waiting: Waiting): void {
    const { leader, learner } = this;
    if (leader !== null) return leader.sync(() => this.clients.released(connection, waiting));
    const session = must(connection.session, "who asks has a session");
    this.#syncs.push(() => this.clients.released(connection, waiting));
    const r = new Reader(waiting.bytes, waiting.start, waiting.end);
    const xid = r.i32();
    r.i32();
    must(learner, "who serves and does not lead follows").request(
      session.hi,
      session.lo,
      xid,
      OpCode.Sync,
      waiting.bytes,
      r.at,
      waiting.end,
      connection.identities,
    );
  }

  touch(session: Session): void {
    if (this.learner !== null) this.#touched.add(session);
  }

  // -------------------------------------------------------------------------------------- writes

  /** Judges a wish and proposes what comes of it; a refusal is a txn as well, and keeps its place. */
  #propose(
    op: number,
    connection: Connection | null,
    session: Session | null,
    xid: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    identities: readonly Id[],
    id: SessionId | undefined = undefined,
    refusal: number = ErrorCode.Ok,
  ): void {
    const { ledger, leader } = this;
    assert(this.#proposes, "who proposes leads, with a quorum behind it");
    const judge = this.#judge;
    const zxid = zxidNext(leader === null ? ledger.proposed : leader.zxidLast);
    if (leader !== null && counterOf(zxid) >= (this.member?.counterMax ?? counterMax)) {
      return this.#leave(`epoch ${leader.epoch} has no zxids left: a new one is needed`);
    }
    const txn = ledger.writer;
    const at = txn.room(4 + txnHeaderBytes);
    judge.txn = txn;
    judge.zxid = zxid;
    judge.type = op;
    judge.zxidApplied = this.applier.zxid;
    this.quotas.zxidProposed = zxid;
    judge.timeMs = this.#wallMs;
    judge.session = session;
    judge.identities = identities;
    judge.reader.reset(bytes, start, end);
    const bodyAt = txn.length;
    const code = refusal !== ErrorCode.Ok ? refusal : prepare(op, judge, session);
    let { type } = judge;
    if (code !== ErrorCode.Ok) {
      type = OpCode.Error;
      txn.length = bodyAt;
      txn.i32(code);
    } else if (this.options.digestEnabled) {
      txn.i32(digestVersion);
      txn.i64Halves(this.#overlay.digest.hi | 0, this.#overlay.digest.lo | 0);
    }
    const length = txn.length;
    txn.length = at + 4;
    if (id !== undefined) txn.i64(id);
    else txn.i64Halves(session?.hi ?? 0, session?.lo ?? 0);
    txn.i32(xid);
    txn.i64FromNumber(zxid);
    txn.i64FromNumber(this.#wallMs);
    txn.i32(type);
    txn.length = length;
    ledger.propose(zxid, at, connection?.number ?? 0, this.#monoMs);
    this.#countProposal(length - at - 4);
    if (leader !== null) leader.propose(txn.bytes, at + 4, length, zxid);
    if (connection === null) return;
    this.#table.pushWrite(connection);
    if (op === OpCode.Create && type === OpCode.CreateContainer) connection.plainCreates.add(zxid);
  }

  resetEnsembleStats(): void {
    this.proposals =
      this.proposalsReceived =
      this.commitsReceived =
      this.forwarded =
        0;
    this.proposalBytesLast = this.proposalBytesMin = this.proposalBytesMax = -1;
    this.electionTimes.reset();
    this.syncTimes.reset();
    this.unavailableTimes.reset();
    this.quorumTimes.reset();
  }

  /** Of a learner: syncs that went to the leader. */
  get pendingSyncs(): number {
    return this.#syncs.length;
  }

  #countProposal(bytes: number): void {
    this.proposals++;
    this.proposalBytesLast = bytes;
    if (bytes > this.proposalBytesMax) this.proposalBytesMax = bytes;
    if (bytes < this.proposalBytesMin || this.proposalBytesMin < 0) this.proposalBytesMin = bytes;
  }

  /** The log has more than before. */
  #durable(): void {
    if (this.part === "standalone") this.#commitUpTo(this.ledger.durable);
    else if (this.leader !== null) this.leader.durable();
    else this.learner?.durable();
    if (this.#pausedLinks.size > 0 && this.ledger.bytesWaiting <= appendBytesPause) {
      for (const link of this.#pausedLinks) link.paused = false;
      this.#pausedLinks.clear();
    }
  }

  #commitUpTo(zxid: Zxid): void {
    this.ledger.commitUpTo(zxid, this.#commit);
    if (this.ledger.inFlight === 0) {
      assert(this.#overlay.size === 0, "with nothing in flight nothing is pending");
      this.quotas.settleAll();
    }
    this.outbox.committed = true;
  }

  /** One committed txn: told to those who follow, applied, and answered to whoever asked here. */
  readonly #commit = (
    bytes: Uint8Array,
    start: number,
    end: number,
    _zxid: number,
    origin: number,
    arrivedMs: number,
  ): void => {
    const { sessionHi, sessionLo, cxid, zxid, type } = txnHeaderAt(bytes, start, end);
    if (this.leader !== null) this.leader.committed(bytes, start, end, zxid);
    else if (this.master !== null) this.master.committed(bytes, start, end, zxid);
    const connection = this.learner !== null
      ? this.#asker(sessionHi, sessionLo, cxid, type)
      : origin === 0
      ? null
      : this.#table.get(origin);
    const body = this.#body;
    body.clear();
    const code = this.applier.apply(bytes, start, end, type, zxid, connection === null ? null : body);
    if (connection !== null && connection.plainCreates.size > 0) {
      const wasPlain = connection.plainCreates.delete(this.learner === null ? zxid : cxid);
      if (wasPlain && type === OpCode.CreateContainer) body.length = 4 + new Reader(body.bytes, 0, 4).i32();
    }
    this.counters.commits++;
    const latency = this.#monoMs - arrivedMs;
    this.counters.append.record(latency);
    if (this.member !== null) this.quorumTimes.record(latency);
    if (connection !== null && type !== OpCode.CreateSession) this.#table.writeDone(connection);
    if (type === OpCode.CreateSession) this.#sessionCreated(connection, sessionHi, sessionLo);
    else if (type === OpCode.CloseSession) {
      this.#sessionClosed(connection, sessionHi, sessionLo, zxid, cxid, arrivedMs);
    } else if (connection !== null) this.clients.reply(connection, cxid, zxid, code, body, arrivedMs);
    if (type !== OpCode.Error) this.applier.checkDigest(bytes, end);
  };

  /** On a learner: whose request is it that came back as a commit? Nobody's, if its client is elsewhere. */
  #asker(hi: number, lo: number, cxid: number, type: number): Connection | null {
    if (type === OpCode.CreateSession) {
      if (this.#offered.size === 0) return null;
      const id = sessionIdOf(hi, lo);
      const connection = this.#offered.get(id) ?? null;
      this.#offered.delete(id);
      return connection;
    }
    const session = this.sessions.find(hi, lo);
    if (session === undefined || session.connection === 0) return null;
    const connection = this.#table.get(session.connection);
    return connection !== null && connection.shiftForwarded(cxid) ? connection : null;
  }

  #sessionCreated(connection: Connection | null, hi: number, lo: number): void {
    const session = this.sessions.find(hi, lo);
    assert(session !== undefined, "an applied createSession made a session");
    if (this.#proposes) this.sessions.watch(session, this.#monoMs);
    if (this.#owners.size > 0) {
      session.owner = this.#owners.get(session.id) ?? -1;
      this.#owners.delete(session.id);
    }
    if (this.learner === null && connection !== null) this.#table.writeDone(connection);
    if (connection !== null && connection.state === ConnectionState.Opening) {
      this.clients.takeOver(connection, session, session.timeoutMs);
    }
  }

  /** The reply, if anybody asked, and then the end of every connection that held the session. */
  #sessionClosed(
    asker: Connection | null,
    hi: number,
    lo: number,
    zxid: number,
    cxid: number,
    arrivedMs: number,
  ): void {
    const session = this.sessions.find(hi, lo);
    this.#body.clear();
    this.applier.finishSessionClose(hi, lo, zxid);
    if (session !== undefined) this.#touched.delete(session);
    if (asker !== null) {
      this.clients.reply(asker, cxid, zxid, ErrorCode.Ok, this.#body, arrivedMs);
      this.#table.close(asker);
    }
    const holder = session === undefined || session.connection === 0
      ? null
      : this.#table.get(session.connection);
    if (holder !== null) this.#table.close(holder);
  }
}
