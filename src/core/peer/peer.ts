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
import {
  appendBytesPause,
  electionMsMax,
  followerBytesWaitingMax,
  historyBytesDefault,
  waitingBytesPause,
} from "../base/limits.ts";
import { epochOf, sessionHex, type SessionId, type Zxid, zxidHex } from "../base/zxid.ts";
import { Election } from "../election/election.ts";
import type { Applier } from "../ops/applier.ts";
import { Reads } from "../ops/reads.ts";
import { sessionIdFirst } from "../session/password.ts";
import type { Session, SessionTable } from "../session/table.ts";
import type { Quotas } from "../tree/quota.ts";
import type { Tree } from "../tree/tree.ts";
import type { WatchTable } from "../watch/table.ts";
import { OpCode } from "../wire/opcodes.ts";
import { Reader } from "../wire/reader.ts";
import { txnHeaderAt } from "../wire/txns.ts";
import { Writer } from "../wire/writer.ts";
import type { DiskCommand, LogChunk } from "../zab/disk.ts";
import type { EnsembleOptions } from "../zab/ensemble.ts";
import { Leader, type LeaderHost } from "../zab/leader.ts";
import { Learner, type LearnerHost } from "../zab/learner.ts";
import { Ledger } from "../zab/ledger.ts";
import { Link } from "../zab/link.ts";
import { type MasterHost, ObserverMaster } from "../zab/observer_master.ts";
import { Clients } from "./clients.ts";
import { Commits } from "./commits.ts";
import { type Connection, ConnectionState } from "./connection.ts";
import { PeerCounters } from "./counters.ts";
import { DiskQueue } from "./disk_queue.ts";
import { Doubts } from "./doubts.ts";
import type { PeerEvent } from "./events.ts";
import { HeldLinks } from "./held_links.ts";
import { Loader } from "./loader.ts";
import { Memory } from "./memory.ts";
import { MemberStats } from "./member_stats.ts";
import type { PeerOptions } from "./options.ts";
import { Outbox } from "./outbox.ts";
import type { Place } from "./place.ts";
import { Proposer } from "./proposer.ts";
import { Reaper } from "./reaper.ts";
import { Roads } from "./roads.ts";
import type { ServingMode } from "./status.ts";

export type { PeerOptions };

/** A gap between ticks shorter than this, or than a tick, is no gap. */
const clockGapMsMin = 1000;
/** A leader that was chosen, could not be reached and is not connected for elections either is given up after this. */
const leaderGoneMs = 500;

/** Sessions expire in one tick until they have so many ephemerals together; an end alone costs as many as these. */
const housekeepMax = 2000;
const expiryCost = 20;

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
  /** Why less is there than this member acknowledged. */
  readonly lacks?: string | null;
}

/** Whom a learner wants to be connected to. The same object while it is the same wish. */
export interface DialWanted {
  readonly sid: number;
  /** Any follower's port for observers will do. */
  readonly observerMaster: boolean;
}

export type PeerPart = "standalone" | "settling" | "looking" | "leading" | "learning";

export class Peer implements Place {
  readonly tree: Tree;
  readonly sessions: SessionTable;
  readonly dataWatches: WatchTable;
  readonly childWatches: WatchTable;
  readonly quotas: Quotas;
  readonly applier: Applier;
  readonly counters = new PeerCounters();
  readonly stats: MemberStats;
  readonly outbox = new Outbox();
  readonly options: PeerOptions;
  readonly tickMs: number;
  readonly member: EnsembleOptions | null;
  readonly election: Election | null;
  readonly ledger: Ledger;
  part: PeerPart = "settling";
  leader: Leader | null = null;
  learner: Learner | null = null;
  master: ObserverMaster | null = null;
  /** As they are on the disk. */
  epochs = { accepted: 0, current: 0 };
  wallMs: number;
  monoMs: number;

  readonly #memory: Memory;
  readonly #clients: Clients;
  readonly #proposer: Proposer;
  readonly #roads: Roads;
  readonly #commits: Commits;
  readonly #reaper: Reaper;
  readonly #disk: DiskQueue;
  readonly #held: HeldLinks;
  readonly #logReads = new Map<number, (chunk: LogChunk) => void>();
  #logReadNext = 1;
  #linkNext = 1;
  #tickLastMonoMs: number;
  #loaded = false;
  /** An election may have gone on since then. */
  #leaderlessAtMs: number;
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
  readonly doubts: Doubts;
  /** In the election that we are in. */
  #abstains = false;
  #seed: number;

  constructor(options: PeerOptions) {
    const { outbox, counters } = this;
    this.options = options;
    this.tickMs = options.tickMs;
    this.member = options.ensemble ?? null;
    this.wallMs = options.bornWallMs;
    this.monoMs = this.#leaderlessAtMs = this.#tickLastMonoMs = options.bornMonoMs;
    this.#seed = (options.hashSeed ^ 0x9e3779b9) | 1;
    const memory = new Memory(options, outbox, counters);
    this.#memory = memory;
    this.tree = memory.tree;
    this.sessions = memory.sessions;
    this.dataWatches = memory.dataWatches;
    this.childWatches = memory.childWatches;
    this.quotas = memory.quotas;
    this.applier = memory.applier;
    this.doubts = new Doubts(memory.applier);
    this.ledger = new Ledger(
      0 as Zxid,
      this.member === null ? 0 : this.member.historyBytesMax || historyBytesDefault,
    );
    this.#disk = new DiskQueue(this.ledger);
    this.#held = new HeldLinks(outbox);
    this.#reaper = new Reaper(this.tree, options.reaper, options.bornMonoMs);
    this.election = this.member === null
      ? null
      : new Election(this.member, (to, bytes) => outbox.votes.push({ to, bytes }));

    const stats = new MemberStats(options.bornMonoMs);
    this.stats = stats;
    this.#proposer = new Proposer(memory, this, stats, options);
    this.#roads = new Roads({
      memory,
      place: this,
      proposer: this.#proposer,
      outbox,
      stats,
      sessionFirst: this.#sessionFirst(),
      clients: () => this.#clients,
      countRequest: (op) => counters.countRequest(op),
    });
    this.#clients = new Clients({
      options,
      outbox,
      counters,
      table: memory.connections,
      sessions: this.sessions,
      reads: new Reads(this.tree, this.dataWatches, this.childWatches, {
        skipAcl: options.judge.skipAcl,
        watchesPerConnectionMax: options.watchesPerConnectionMax,
        watchesMax: options.watchesMax,
        makeRoom: (number) => memory.connections.cutMostWatching() !== number,
      }),
      applier: this.applier,
      road: this.#roads,
    });
    this.#commits = new Commits({
      memory,
      place: this,
      clients: this.#clients,
      roads: this.#roads,
      counters,
      stats,
      outbox,
    });
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

  // -------------------------------------------------------------------------------------- birth

  /** Fills the peer from the disk; `begin` must follow. */
  loader(): Loader {
    assert(!this.#loaded, "a peer is loaded once");
    return this.#makeLoader();
  }

  #makeLoader(): Loader {
    return this.#loader = new Loader(
      this.tree,
      this.sessions,
      this.applier,
      this.member !== null,
      () => this.#memory.clear(),
    );
  }

  /** For the disk command `reload`: memory is empty again and is filled through this. */
  reloader(): Loader {
    this.#memory.clear();
    return this.#makeLoader();
  }

  /** What was loaded so far; null once all is in memory. */
  get loading(): { readonly znodes: number; readonly txns: number } | null {
    if (this.#loaded) return null;
    return { znodes: this.#loader?.rowsLoaded ?? 0, txns: this.#loader?.txnsReplayed ?? 0 };
  }

  /** All that the disk holds is in memory: before it clients and ticks are the only events. */
  begin(begun: Begun, monoMs: number): void {
    assert(!this.#loaded, "a peer begins once");
    this.#loaded = true;
    this.#tickLastMonoMs = this.monoMs = this.#leaderlessAtMs = monoMs;
    this.stats.left(monoMs, false);
    const epoch = epochOf(begun.zxidLast);
    this.epochs = { accepted: begun.epochAccepted ?? epoch, current: begun.epochCurrent ?? epoch };
    this.doubts.lacks = begun.lacks ?? null;
    if (this.doubts.lacks !== null) {
      this.outbox.note(
        "error",
        "history_lost",
        `${this.doubts.lacks}. This server takes no part in elections until it has copied everything from a leader that ` +
          "the others elect. If they can elect none: restore the data of the server that has the most",
      );
    }
    this.#afterLoad();
    if (this.member === null) {
      // Somebody who stood alone all the time may have a log whose end no row names.
      if (begun.zxidLast > this.ledger.proposed) this.ledger.reset(begun.zxidLast);
      this.applier.zxid = Math.max(this.applier.zxid, begun.zxidLast);
      this.part = "standalone";
      this.#opened();
      this.#clients.takeHeld(Infinity);
      return;
    }
    assert(this.ledger.proposed === begun.zxidLast || this.#loader === null, "the log was read to its end");
    this.#loader = null;
    this.#settled();
  }

  /** What was loaded is made ready, and the ledger begins where it ends. */
  #afterLoad(): void {
    if (this.tree.findText("/zookeeper") === 0) this.tree.makeReserved();
    this.#memory.ready();
    // A member's table may be a snapshot that was taken while the tree changed: it is told once it follows.
    if (this.member === null) this.#tellDigests("the txns read from the log");
    if (!this.applier.digestMatched) this.doubts.treeIsWrong(this.#wrongText(), this.monoMs, true);
    this.ledger.reset(this.zxid);
    const tail = this.#loader?.tail;
    if (tail !== undefined && tail.length > 0) {
      const r = new Reader(tail.bytes, 0, tail.length);
      while (r.left > 0) {
        const length = r.span();
        const { zxid } = txnHeaderAt(tail.bytes, r.at - length, r.at);
        this.ledger.accept(tail.bytes, r.at - length, r.at, zxid as Zxid, this.monoMs);
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
      this.wallMs,
    );
  }

  #tellDigests(what: string): void {
    const count = this.applier.digestMismatches - this.#digestsBefore;
    if (count === 0) return;
    this.outbox.note(
      "error",
      "digest_mismatch",
      `${count} of ${what} left another tree than when they were written; compare with another copy: ` +
        "curl http://HOST:ADMINPORT/commands/hash lists zxids, and the same zxid has the same digest",
      { mismatches: count, zxid: zxidHex(this.zxid) },
    );
  }

  /** All that was committed when this epoch began has been applied: what came right is no mismatch. */
  #settleDigests(): void {
    this.applier.forgiveDigests(this.#digestsBefore);
    if (!this.applier.digestMatched) this.doubts.wrong = this.#wrongText();
    this.#tellDigests("the txns that were replayed");
  }

  get zxid(): Zxid {
    return this.applier.zxid as Zxid;
  }

  get inFlight(): number {
    return this.ledger.inFlight;
  }

  /** Bytes of writes that wait for the disk, or for the leader to take them. */
  get appendBytesWaiting(): number {
    const link = this.learner?.link ?? null;
    return this.ledger.bytesWaiting + (link === null ? 0 : link.out.length + link.unsentBytes);
  }

  /** The next command for the disk, or null. One at a time: the next after `durable` or `stored`. */
  takeDisk(): DiskCommand | null {
    const command = this.#disk.take(this.monoMs);
    if (command?.kind === "append") this.#roads.resume();
    return command;
  }

  /** The turn ends now: what was read in it took this long. */
  timeReads(monoMs: number): void {
    const clients = this.#clients;
    const latency = Math.max(0, monoMs - this.monoMs);
    for (; clients.readsUntimed > 0; clients.readsUntimed--) {
      this.counters.latency.record(latency);
      this.counters.read.record(latency);
    }
  }

  get hasUntimedReads(): boolean {
    return this.#clients.readsUntimed > 0;
  }

  // --------------------------------------------------------------------------------- connections

  /** A client's line is there. `address` is as Java would write it. */
  open(address: string, port: number, secure: boolean, monoMs: number): Connection {
    return this.#memory.connections.open(address, port, secure, monoMs);
  }

  /** By number; 0 is nobody. */
  get connections(): readonly (Connection | null)[] {
    return this.#memory.connections.list;
  }

  get connectionCount(): number {
    return this.#memory.connections.count;
  }

  /** Requests without an answer, over all connections. */
  get outstanding(): number {
    return this.#memory.connections.outstanding;
  }

  /** Bytes of the reads among them, which wait behind writes. */
  get waitingBytes(): number {
    return this.#memory.connections.waitingBytes;
  }

  /** May the next request of this client be taken? In each state and part, what it could pile up is bounded. */
  mayTake(connection: Connection): boolean {
    const { order, state } = connection;
    // Until the session is there nothing can be answered; reads that wait for room come first.
    if (state === ConnectionState.Opening || state === ConnectionState.Held || order.isReady) return false;
    const { connections } = this.#memory;
    if (!connections.hasRoom(connection)) return false;
    if (order.outstanding === 0) return true;
    return connections.outstanding < this.options.outstandingMax &&
      this.appendBytesWaiting < appendBytesPause && connections.waitingBytes < waitingBytesPause;
  }

  /** Bytes of replies and events that clients did not take. */
  get unsentBytes(): number {
    return this.#memory.connections.unsent.bytes;
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

  /** Syncs that wait for the leader's answer, where we follow. */
  get pendingSyncs(): number {
    return this.#roads.pendingSyncs;
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

  /** A tick did not get to all that was due: the next should come as soon as others had their turn. */
  get isBehind(): boolean {
    return this.proposes && this.sessions.isBehind;
  }

  /** Something waits for a time that is near: the shell should tick every ten milliseconds or so. */
  get wantsFineTicks(): boolean {
    return this.part === "looking" || this.part === "settling" || this.learner?.phase === "dial" ||
      (this.learner !== null && this.learner.phase !== "broadcast");
  }

  // --------------------------------------------------------------------------------------- step

  step(event: PeerEvent): Outbox {
    const clients = this.#clients;
    this.wallMs = clients.wallMs = event.wallMs;
    this.monoMs = clients.monoMs = event.monoMs;
    this.#memory.connections.tidy();
    switch (event.kind) {
      case "clientFrame": {
        const connection = this.#memory.connections.get(event.connection);
        if (connection !== null) clients.frame(connection, event.bytes, event.start, event.end);
        break;
      }
      case "clientClosed": {
        const connection = this.#memory.connections.get(event.connection);
        if (connection !== null && connection.state !== ConnectionState.Closed) {
          this.#memory.connections.forget(connection);
        }
        break;
      }
      case "clientDrained": {
        const connection = this.#memory.connections.get(event.connection);
        if (connection !== null && connection.state !== ConnectionState.Closed) {
          clients.readsBehind(connection);
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
        if (this.election?.deserted === true) this.leave("those who chose this leader chose again");
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
    if (!this.applier.digestMatched) this.#treeIsWrong();
    else if (this.doubts.wrong !== null && this.learner?.phase === "broadcast") this.doubts.treeIsRight();
    return this.outbox;
  }

  #wrongText(): string {
    return `The tree is not what the txn at ${zxidHex(this.zxid)} left where it was written`;
  }

  /** Only what is level with the others can be held against what they have. */
  #treeIsWrong(): void {
    const { doubts } = this;
    const isLevel = (this.leader ?? this.learner)?.phase === "broadcast";
    if (this.part !== "standalone" && !isLevel) return;
    const isNew = doubts.wrong === null;
    const repairs = doubts.treeIsWrong(this.#wrongText(), this.monoMs, this.learner === null) && isLevel;
    if (isNew || repairs) {
      const { digestMismatches } = this.applier;
      this.outbox.note("error", "digest_mismatch", this.#wrongText(), {
        mismatches: digestMismatches,
        zxid: zxidHex(this.zxid),
      });
    }
    if (repairs) this.leave("its tree is wrong, and it takes that of the others");
  }

  #tick(): void {
    if (!this.#loaded) return this.#clients.takeHeld(this.monoMs);
    const late = this.monoMs - this.#tickLastMonoMs;
    this.#tickLastMonoMs = this.monoMs;
    // A process that was stopped or starved has heard nobody meanwhile: first let the pings in.
    if (late > Math.max(this.tickMs, clockGapMsMin)) {
      this.outbox.note(
        "warn",
        "clock_gap",
        `Did not run for ${Math.round(late)} ms: sessions get that time back`,
        { gapMs: Math.round(late) },
      );
      this.sessions.excuse(late);
      this.#disk.excuse(late);
    }
    if (this.part === "looking" && this.#abstains && !this.doubts.abstains(this.monoMs)) {
      this.part = "settling";
      this.#settled();
    }
    this.election?.tick(this.monoMs);
    this.#decided();
    this.#held.tick(this.monoMs, (this.member?.initLimit ?? 0) * this.tickMs);
    this.leader?.tick(this.monoMs);
    this.learner?.tick(this.monoMs);
    this.master?.tick(this.monoMs);
    if (this.learner?.phase === "dial" && this.monoMs - this.#leaderGoneAtMs > leaderGoneMs) {
      this.leave(`server ${this.learner.leader} was chosen and is gone`);
    }
    this.#checkDisk();
    this.#settled();
    this.#clients.takeHeld(this.monoMs);
    if (this.proposes) this.#housekeep();
  }

  /**
   * A disk that is silent while the others' are not must not hold them up: a leader makes way, and can't
   * be elected again before its disk is quiet. At once where clients are held back; else only after as
   * long as a learner is given, for nobody suffers.
   */
  #checkDisk(): void {
    const silentMs = this.#disk.silentMs(this.monoMs);
    const { leader, learner, member, ledger, tickMs } = this;
    if (silentMs <= tickMs || member === null) return;
    const forText = `its own disk has been silent for ${Math.round(silentMs)} ms`;
    if (leader?.isNeedless === true) {
      const isHeld = ledger.bytesWaiting > appendBytesPause;
      if (!isHeld && silentMs <= member.syncLimit * tickMs) return;
      return this.leave(`${forText}, and the others are a quorum without it`);
    }
    if (learner?.phase === "broadcast" && ledger.bytesWaiting > followerBytesWaitingMax) {
      this.leave(`${forText}, and ${ledger.bytesWaiting} bytes wait for it`);
    }
  }

  /** Sessions that expired, containers that are empty: who proposes looks after them. */
  #housekeep(): void {
    let room = housekeepMax;
    const goesOn = ({ id }: Session): boolean => {
      room -= expiryCost + this.tree.ephemeralRows(id).size;
      return room > 0;
    };
    for (const session of this.sessions.expired(this.monoMs, goesOn)) {
      if (this.#roads.owes(session)) {
        this.sessions.watch(session, this.monoMs);
        continue;
      }
      this.counters.sessionsExpired++;
      this.outbox.note(
        "info",
        "session_expired",
        `Expiring session ${sessionHex(session.id)}, timeout of ${session.timeoutMs}ms exceeded`,
        { session: sessionHex(session.id), timeoutMs: session.timeoutMs },
      );
      this.#proposer.expire(session);
      // That may have been the last zxid of the epoch: the next leader looks after the others.
      if (!this.proposes) return;
    }
    for (const path of this.#reaper.due(this.wallMs, this.monoMs)) {
      const body = new Writer(64);
      body.string(path);
      this.#proposer.propose(OpCode.DeleteContainer, null, null, 0, body.bytes, 0, body.length, []);
      if (!this.proposes) return;
    }
  }

  // --------------------------------------------------------------------------------------- parts

  get proposes(): boolean {
    return this.part === "standalone" || this.leader?.phase === "broadcast";
  }

  get serving(): boolean {
    if (this.part === "standalone") return true;
    if (this.learner !== null) return this.learner.phase === "broadcast";
    return this.leader?.phase === "broadcast" && must(this.member, "a leader is a member").leaderServes;
  }

  /** So soon behind the last leader the next one may be there in a moment. */
  get electing(): boolean {
    return this.part !== "standalone" && (this.leader ?? this.learner)?.phase !== "broadcast" &&
      this.monoMs - this.#leaderlessAtMs < electionMsMax;
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
    this.#memory.overlay.drop();
    this.sessions.watchAll(this.monoMs);
    // The original drops ephemerals without a session from memory alone; a txn says it to the log too.
    for (const id of [...this.tree.ephemerals.keys()]) {
      if (this.sessions.get(id) === undefined) this.#proposer.expire(this.sessions.open(id, 0));
    }
  }

  /** Our part ends: nobody is served, nothing that was on its way will be answered. */
  leave(reason: string): void {
    if (this.part === "settling" || this.part === "looking") return;
    const wasServing = this.serving;
    const wasLevel = (this.leader ?? this.learner)?.phase === "broadcast";
    this.outbox.note("warn", "part_left", `No longer ${this.part}: ${reason}`, {
      epoch: this.epochs.current,
    });
    this.part = "settling";
    if (wasLevel) this.#leaderlessAtMs = this.monoMs;
    if (wasLevel) this.#digestsBefore = this.applier.digestMismatches;
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
    this.#logReads.clear();
    this.#roads.leave();
    this.#memory.connections.closeAll();
    this.ledger.orphan();
    this.#memory.forgetProposed();
    this.stats.left(this.monoMs, wasServing);
    this.#lookAtMs = this.monoMs + this.#pauseMs;
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
      this.#disk.push({ kind: "reload" }, () => {});
      return;
    }
    if (this.monoMs < this.#lookAtMs) return;
    this.part = "looking";
    this.#abstains = this.doubts.abstains(this.monoMs);
    assert(this.ledger.durable === this.ledger.proposed, "who votes has its log on the disk");
    must(this.election, "only members elect").look(
      // Nobody counts the vote of who has no zxid.
      this.#abstains ? -1 : this.ledger.durable,
      this.epochs.current,
      this.monoMs,
    );
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
    this.stats.decided(this.monoMs);
    const leads = decision.leader === member.sid;
    this.outbox.note(
      "info",
      "elected",
      leads ? "Elected to lead" : `Server ${decision.leader} was elected to lead`,
      {
        leader: decision.leader,
        round: must(this.election, "only members elect").round,
        tookMs: Math.round(this.stats.electionMsLast),
        zxid: zxidHex(this.ledger.durable),
      },
    );
    if (leads) {
      this.part = "leading";
      const accepted = Math.max(this.epochs.accepted, this.#epochSeen);
      this.leader = new Leader(this.#leaderHost(member), accepted, this.epochs.current, this.monoMs);
      const { leader } = this;
      leader.begin();
      this.#held.release((link, bytes) => {
        // What one of them said may have ended it.
        if (this.leader !== leader) return this.#refuse(link);
        leader.accept(link, this.monoMs);
        if (bytes.length > 0) leader.bytes(link.number, bytes, 0, bytes.length, this.monoMs);
      });
      return;
    }
    this.part = "learning";
    this.#held.closeAll();
    this.#leaderGoneAtMs = Infinity;
    this.learner = new Learner(
      this.#learnerHost(member),
      decision.leader,
      this.epochs,
      this.monoMs,
      this.doubts.takeAsks() || this.#fromNothing,
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

  #storeEpochs(accepted: number, current: number, then: () => void): void {
    assert(accepted >= this.epochs.accepted && current >= this.epochs.current, "epochs only grow");
    this.#disk.push({ kind: "epochs", accepted, current }, () => {
      this.epochs = { accepted, current };
      then();
    });
  }

  // --------------------------------------------------------------------------------------- hosts

  /** What leader, learner and observer master need of us alike. */
  #host(member: EnsembleOptions) {
    const { outbox, ledger, tree, sessions, tickMs } = this;
    return {
      outbox,
      ledger,
      tree,
      sessions,
      ensemble: member,
      tickMs,
      lengths: this.options.lengths,
      storeEpochs: (accepted: number, current: number, then: () => void): void =>
        this.#storeEpochs(accepted, current, then),
      readLog: (after: Zxid, upTo: Zxid, then: (chunk: LogChunk) => void): number => {
        const read = this.#logReadNext++;
        this.#logReads.set(read, then);
        outbox.logReads.push({ read, after, upTo });
        return read;
      },
    };
  }

  #leaderHost(member: EnsembleOptions): LeaderHost {
    const roads = this.#roads;
    return {
      ...this.#host(member),
      established: (epoch) => this.#established(epoch),
      commit: (zxid) => this.#commits.upTo(zxid),
      request: (learner, packet) => roads.request(learner, packet),
      touched: (hi, lo) => roads.heard(hi, lo),
      revalidate: (learner, hi, lo) => roads.revalidate(learner, hi, lo),
      parted: (learner) => roads.parted(learner),
      stepDown: (reason) => this.leave(reason),
    };
  }

  #learnerHost(member: EnsembleOptions): LearnerHost {
    const roads = this.#roads;
    return {
      ...this.#host(member),
      store: (command, then) => this.#disk.push(command, then),
      clearing: () => this.#memory.clear(),
      replaced: (zxid) => this.#replaced(zxid),
      holdLog: () => {
        this.#disk.held = true;
      },
      storeReplacement: (zxid) => this.#storeReplacement(zxid),
      followed: (epoch, committed) => this.#followed(member, epoch, committed),
      commit: (zxid, packets) => {
        this.stats.commitsReceived += packets;
        this.stats.proposalsReceived += packets;
        this.#commits.upTo(zxid);
        this.master?.settled();
      },
      activates: (zxid, designated) => this.master?.activates(zxid, designated),
      synced: () => roads.synced(),
      revalidated: (hi, lo, valid) => roads.revalidated(hi, lo, valid),
      touched: (tell) => roads.takeTouched(tell),
      lost: (reason) => this.leave(reason),
      cannotCut: (isCommitted) => {
        // Only what was never known to be committed may go, and all at once: the leader then sends a snapshot.
        if (!isCommitted || this.#isProvisional) this.#fromNothing = true;
      },
    };
  }

  #masterHost(member: EnsembleOptions, learner: Learner): MasterHost {
    const roads = this.#roads;
    const master = (): ObserverMaster => must(this.master, "an observer hangs on us while we follow");
    return {
      ...this.#host(member),
      upstream: must(learner.link, "who follows has a link"),
      request: (observer, packet) => roads.relayRequest(learner, master(), observer, packet),
      revalidate: (observer, hi, lo, packet) =>
        roads.relayRevalidate(learner, master(), observer, hi, lo, packet),
      touched: (hi, lo) => roads.relayHeard(hi, lo),
    };
  }

  /** A quorum has our history and follows: it is committed, and from here on we propose. */
  #established(epoch: number): void {
    this.#commits.upTo(this.ledger.proposed);
    this.#level(epoch);
    this.#reaper.restart(this.monoMs);
    this.#nowServing("leading");
    this.#opened();
    this.#clients.takeHeld(Infinity);
  }

  /** The leader has its quorum, and we have what it has. */
  #followed(member: EnsembleOptions, epoch: number, committed: Zxid): void {
    const learner = must(this.learner, "who follows is a learner");
    this.#commits.upTo(committed);
    this.#level(epoch);
    this.stats.syncKindLast = learner.syncKind;
    if (member.observerMasters && !member.observer) {
      this.master = new ObserverMaster(this.#masterHost(member, learner), learner.epoch, this.monoMs);
    }
    this.#nowServing(member.observer ? "observing" : "following");
    this.#clients.takeHeld(Infinity);
  }

  /** All that was committed before this epoch is in the tree. */
  #level(epoch: number): void {
    this.doubts.level(this.#isProvisional);
    this.#settleDigests();
    this.#isProvisional = this.#fromNothing = false;
    must(this.election, "a leader was elected").followed(epoch);
  }

  #nowServing(as: string): void {
    const unavailableMs = this.stats.serves(this.monoMs);
    this.outbox.note("info", "serving", `Serving clients, ${as} in epoch ${this.epochs.current}`, {
      epoch: this.epochs.current,
      zxid: zxidHex(this.zxid),
      unavailableMs: Math.round(unavailableMs),
    });
  }

  /** A snapshot is in memory, and takes the place of all that was in the ledger. */
  #replaced(zxid: Zxid): void {
    if (this.tree.findText("/zookeeper") === 0) this.tree.makeReserved();
    this.tree.endLoad();
    this.applier.zxid = zxid;
    this.#memory.ready();
    this.ledger.reset(zxid);
    this.#tellConfig();
    this.#isProvisional = true;
  }

  /** The end of a snapshot, and with it all that came behind it while the log was held. */
  #storeReplacement(zxid: Zxid): void {
    this.#disk.held = false;
    const batch = this.ledger.takeAppend();
    const tail = batch === null ? null : { ...batch, committed: this.ledger.committed };
    this.#disk.push({ kind: "replaceEnd", zxid, tail }, () => {
      if (tail === null) return;
      this.ledger.durableUpTo(tail.last);
      this.#durable();
    });
  }

  /** The log has more than before. */
  #durable(): void {
    if (this.part === "standalone") this.#commits.upTo(this.ledger.durable);
    else if (this.leader !== null) this.leader.durable();
    else this.learner?.durable();
  }
}
