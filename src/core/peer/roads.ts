/**
 * Roads: how a request that changes something gets to where txns are made, and its answer back.
 *
 * ```
 *                 we stand alone or lead            we follow or observe
 *  our clients    ► proposer                        ► REQUEST to the leader; the commit that comes back
 *                 ◄ the ledger knows who asked      ◄ names session and cxid, and so the line
 *  our learners   ► proposer, as their session      ► on to the leader as it is (observers of ours)
 * ```
 *
 * A session speaks through one line at a time. Whoever speaks first for it owns it; when its client
 * moves, the new place asks (REVALIDATE) and owns it from then on, and what comes late from the old one
 * is refused.
 *
 * Always true: what waits here for the leader's answer is answered in the order in which it was asked.
 */
import { bytesEqualAt } from "../base/bytes.ts";
import { appendBytesPause } from "../base/limits.ts";
import { must } from "../base/assert.ts";
import { sessionHex, sessionHi, type SessionId, sessionIdOf, sessionLo } from "../base/zxid.ts";
import type { Session } from "../session/table.ts";
import { ErrorCode } from "../wire/errors.ts";
import { OpCode } from "../wire/opcodes.ts";
import type { Packet } from "../wire/packets.ts";
import { Reader } from "../wire/reader.ts";
import { Writer } from "../wire/writer.ts";
import type { Learner } from "../zab/learner.ts";
import type { LearnerLink } from "../zab/learner_link.ts";
import type { ObserverMaster } from "../zab/observer_master.ts";
import type { Waiting } from "./client_order.ts";
import type { Clients, Road } from "./clients.ts";
import { type Connection, ConnectionState } from "./connection.ts";
import { HeldRequests } from "./held_requests.ts";
import type { Memory } from "./memory.ts";
import type { MemberStats } from "./member_stats.ts";
import type { Outbox } from "./outbox.ts";
import type { Place } from "./place.ts";
import type { Proposer } from "./proposer.ts";

/** Our own clients, as owner of a session; learners are the numbers of their links. */
const ourselves = 0;

interface Parts {
  readonly memory: Memory;
  readonly place: Place;
  readonly proposer: Proposer;
  readonly outbox: Outbox;
  readonly stats: MemberStats;
  /** The id of the first session made here. */
  readonly sessionFirst: SessionId;
  /** Whoever serves the clients; it is made after the roads that it takes. */
  readonly clients: () => Clients;
  readonly countRequest: (op: number) => void;
}

export class Roads implements Road {
  readonly #memory: Memory;
  readonly #place: Place;
  readonly #proposer: Proposer;
  readonly #outbox: Outbox;
  readonly #stats: MemberStats;
  readonly #clients: () => Clients;
  readonly #countRequest: (op: number) => void;
  readonly #reader = new Reader();
  readonly #body = new Writer(8);
  #sessionNext: SessionId;
  /** Where we follow: sessions that our clients asked for and the leader has not made yet. */
  readonly #offered = new Map<SessionId, Connection>();
  /** Where we follow: sessions that came back to us or to our observers, and wait for the leader's word. */
  #returning: { readonly id: SessionId; readonly answer: (valid: boolean) => void }[] = [];
  /** Where we follow: syncs of our clients and of our observers', which the leader answers without a name. */
  #syncs: (() => void)[] = [];
  /** Where we follow: sessions that were heard since the leader asked last. */
  readonly #touched = new Set<Session>();
  /** Where we lead: to whom a session will belong once it is there. */
  readonly #owners = new Map<SessionId, number>();
  /** Where we lead: what learners' clients want, and too much waits for the disk. */
  readonly #held = new HeldRequests();

  constructor(parts: Parts) {
    this.#memory = parts.memory;
    this.#place = parts.place;
    this.#proposer = parts.proposer;
    this.#outbox = parts.outbox;
    this.#stats = parts.stats;
    this.#clients = parts.clients;
    this.#countRequest = parts.countRequest;
    this.#sessionNext = parts.sessionFirst;
  }

  get serving(): boolean {
    return this.#place.serving;
  }

  get electing(): boolean {
    return this.#place.electing;
  }

  get zxidSeenMax(): number {
    return this.#place.zxidSeenMax;
  }

  get syncAtOnce(): boolean {
    return this.#place.member === null;
  }

  get pendingSyncs(): number {
    return this.#syncs.length;
  }

  /** Our part ends: nothing that was on its way will be answered. */
  leave(): void {
    this.#offered.clear();
    this.#returning = [];
    this.#syncs = [];
    this.#touched.clear();
    this.#owners.clear();
    this.#held.clear();
  }

  // --------------------------------------------------------------------------------- our clients

  write(
    op: number,
    connection: Connection,
    session: Session,
    xid: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const { leader, learner, master } = this.#place;
    const { identities } = connection;
    if (learner === null) {
      const moved = leader !== null && op !== OpCode.CloseSession && !this.#owns(session, ourselves);
      const refusal = moved ? ErrorCode.SessionMoved : ErrorCode.Ok;
      const id = undefined;
      this.#proposer.propose(op, connection, session, xid, bytes, start, end, identities, id, refusal);
      return;
    }
    // It moved to one of our observers: to the leader we would still be speaking for it.
    if (master !== null && op !== OpCode.CloseSession && !this.#owns(session, ourselves)) {
      return this.#memory.connections.close(connection);
    }
    this.#stats.forwarded++;
    this.#memory.connections.pushWrite(connection);
    connection.pushForwarded(xid);
    learner.request(session.hi, session.lo, xid, op, bytes, start, end, identities);
    if (op === OpCode.Create) connection.plainCreates.add(xid);
  }

  createSession(connection: Connection, timeoutMs: number): void {
    const { learner } = this.#place;
    let id = this.#sessionNext;
    // A clock that was set back may offer the id of a session that lives.
    while (this.#memory.sessions.get(id) !== undefined) id = (id + 1n) as SessionId;
    this.#sessionNext = (id + 1n) as SessionId;
    connection.sessionOffered = id;
    const body = this.#body;
    body.clear();
    body.i32(timeoutMs);
    const op = OpCode.CreateSession;
    if (learner === null) {
      this.#owners.set(id, ourselves);
      return this.#proposer.propose(op, connection, null, 0, body.bytes, 0, body.length, [], id);
    }
    this.#stats.forwarded++;
    this.#offered.set(id, connection);
    learner.request(sessionHi(id), sessionLo(id), 0, op, body.bytes, 0, body.length, null);
  }

  reattach(connection: Connection, id: SessionId, timeoutMs: number): void {
    const { learner } = this.#place;
    const session = this.#memory.sessions.get(id);
    // From here on, not from when the leader answers: by then it may have moved on.
    if (session !== undefined) session.owner = ourselves;
    if (learner === null) {
      return this.#takeOver(connection, id, timeoutMs, session !== undefined && !session.closing);
    }
    this.#returning.push({ id, answer: (valid) => this.#takeOver(connection, id, timeoutMs, valid) });
    learner.revalidate(sessionHi(id), sessionLo(id), timeoutMs);
  }

  #takeOver(connection: Connection, id: SessionId, timeoutMs: number, valid: boolean): void {
    if (connection.state !== ConnectionState.Opening) return;
    const session = this.#memory.sessions.get(id);
    if (!valid || session === undefined) return this.#clients().refuseSession(connection, id);
    this.#clients().takeOver(connection, session, timeoutMs);
  }

  sync(connection: Connection, waiting: Waiting): void {
    const { leader, learner } = this.#place;
    const release = (): void => this.#clients().released(connection, waiting);
    if (leader !== null) return leader.sync(release);
    this.#syncs.push(release);
    const { hi, lo } = must(connection.session, "who asks has a session");
    const r = new Reader(waiting.bytes, waiting.start, waiting.end);
    const xid = r.i32();
    const op = r.i32();
    must(learner, "who serves and does not lead follows")
      .request(hi, lo, xid, op, waiting.bytes, r.at, waiting.end, connection.identities);
  }

  touch(session: Session): void {
    if (this.#place.learner !== null) this.#touched.add(session);
  }

  // ------------------------------------------------------------------------------- what came back

  /** Where we follow: whose request is it that came back as a commit? Nobody's, if its client is elsewhere. */
  asker(hi: number, lo: number, cxid: number, type: number): Connection | null {
    if (type === OpCode.CreateSession) {
      if (this.#offered.size === 0) return null;
      const id = sessionIdOf(hi, lo);
      const connection = this.#offered.get(id) ?? null;
      this.#offered.delete(id);
      return connection;
    }
    const session = this.#memory.sessions.find(hi, lo);
    if (session === undefined || session.connection === 0) return null;
    const connection = this.#memory.connections.get(session.connection);
    return connection !== null && connection.shiftForwarded(cxid) ? connection : null;
  }

  created(session: Session): void {
    if (this.#owners.size === 0) return;
    session.owner = this.#owners.get(session.id) ?? -1;
    this.#owners.delete(session.id);
  }

  closed(session: Session): void {
    this.#touched.delete(session);
  }

  /** The leader's answer to the oldest sync. */
  synced(): void {
    this.#syncs.shift()?.();
  }

  /** The leader's answers come in the order in which our own clients and our observers asked. */
  revalidated(hi: number, lo: number, valid: boolean): void {
    const id = sessionIdOf(hi, lo);
    const at = this.#returning.findIndex((one) => one.id === id);
    const [returning] = at < 0 ? [] : this.#returning.splice(at, 1);
    returning?.answer(valid);
  }

  /** The leader wants to know which sessions were heard. */
  takeTouched(tell: (hi: number, lo: number, timeoutMs: number) => void): void {
    // We read nothing more of some that wait for an answer, so they can't be heard.
    const { connections } = this.#memory;
    if (connections.outstanding > 0) {
      for (const connection of connections.list) {
        if (connection !== null && connection.order.outstanding > 0 && connection.session !== null) {
          this.#touched.add(connection.session);
        }
      }
    }
    for (const session of this.#touched) tell(session.hi, session.lo, session.timeoutMs);
    this.#touched.clear();
  }

  // -------------------------------------------------------------------------- where we lead: learners

  /** A wish of a learner's client. */
  request(learner: LearnerLink, packet: Packet): void {
    if (this.#hasRoom() && !this.#held.has(learner)) this.#carryOut(learner, packet);
    else this.#held.add(learner, packet);
  }

  /** The disk took what waited: so what learners want goes on. */
  resume(): void {
    if (!this.#held.isEmpty) this.#held.release(this.#hasRoom, this.#carryOut);
  }

  readonly #hasRoom = (): boolean => this.#place.ledger.bytesWaiting <= appendBytesPause;

  readonly #carryOut = (learner: LearnerLink, packet: Packet): void => {
    const { bytes, dataStart, dataEnd } = packet;
    const r = this.#reader;
    r.reset(bytes, dataStart, dataEnd);
    const hi = r.i32();
    const lo = r.i32();
    const cxid = r.i32();
    const op = r.i32();
    const start = r.at;
    const proposer = this.#proposer;
    this.#countRequest(op);
    switch (op) {
      case OpCode.Sync: {
        const { leader } = this.#place;
        return leader?.sync(() => leader.answerSync(learner));
      }
      case OpCode.CreateSession: {
        const id = sessionIdOf(hi, lo);
        this.#owners.set(id, learner.link.number);
        proposer.propose(op, null, null, cxid, bytes, start, dataEnd, [], id);
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
        const session = this.#memory.sessions.find(hi, lo);
        const isClose = op === OpCode.CloseSession;
        let refusal: number = ErrorCode.Ok;
        if (session === undefined || session.closing) refusal = ErrorCode.SessionExpired;
        else if (!isClose && !this.#owns(session, learner.link.number)) refusal = ErrorCode.SessionMoved;
        if (session !== undefined) identify(session, packet);
        const identities = session?.identities ?? [];
        const id = session === undefined ? sessionIdOf(hi, lo) : undefined;
        proposer.propose(op, null, session ?? null, cxid, bytes, start, dataEnd, identities, id, refusal);
        break;
      }
      default:
        this.#outbox.note("warn", "request_unknown", `Ignored op ${op} of ${learner.name}`, {
          sid: learner.sid,
        });
        return;
    }
  };

  parted(learner: LearnerLink): void {
    this.#held.drop(learner);
  }

  /** A learner's client was heard. */
  heard(hi: number, lo: number): void {
    const session = this.#memory.sessions.find(hi, lo);
    if (session !== undefined && !session.closing) this.#memory.sessions.touch(session, this.#place.monoMs);
  }

  /** Does its client wait for us, so that we may not have read its pings? */
  owes(session: Session): boolean {
    const connection = this.#memory.connections.get(session.connection);
    if (connection !== null && connection.order.outstanding > 0) return true;
    return this.#place.leader?.learners.get(session.owner)?.link.paused === true;
  }

  /** Is the session alive? If so the learner owns it from now on. */
  revalidate(learner: LearnerLink, hi: number, lo: number): boolean {
    const session = this.#memory.sessions.find(hi, lo);
    if (session === undefined || session.closing) return false;
    this.#memory.sessions.touch(session, this.#place.monoMs);
    session.owner = learner.link.number;
    return true;
  }

  // --------------------------------------------------------------- where we follow: our observers

  /** An observer's client wants something of the leader. */
  relayRequest(learner: Learner, master: ObserverMaster, observer: LearnerLink, packet: Packet): void {
    this.#stats.forwarded++;
    const r = this.#reader;
    r.reset(packet.bytes, packet.dataStart, packet.dataEnd);
    const session = this.#memory.sessions.find(r.i32(), r.i32());
    r.i32();
    const op = r.i32();
    if (op === OpCode.Sync) this.#syncs.push(() => master.answerSync(observer));
    else if (
      session !== undefined && op !== OpCode.CloseSession && !this.#owns(session, observer.link.number)
    ) {
      // To the leader all that comes through us is ours, so it can't tell: what a client sent before it
      // moved between us and our observers ends here.
      this.#outbox.note("debug", "session_moved", `Dropped a late request of ${sessionHex(session.id)}`);
      return;
    }
    learner.relay(packet);
  }

  /** An observer asks the leader whether a session lives. */
  relayRevalidate(
    learner: Learner,
    master: ObserverMaster,
    observer: LearnerLink,
    hi: number,
    lo: number,
    packet: Packet,
  ): void {
    const answer = (valid: boolean): void => master.revalidated(observer, hi, lo, valid);
    this.#returning.push({ id: sessionIdOf(hi, lo), answer });
    const session = this.#memory.sessions.find(hi, lo);
    if (session !== undefined) session.owner = observer.link.number;
    learner.relay(packet);
  }

  /** An observer's client was heard: the leader is told with our own. */
  relayHeard(hi: number, lo: number): void {
    const session = this.#memory.sessions.find(hi, lo);
    if (session !== undefined) this.#touched.add(session);
  }

  #owns(session: Session, owner: number): boolean {
    if (session.owner === -1) session.owner = owner;
    return session.owner === owner;
  }
}

/** Who a learner's client is: what it told is read once, and again when it tells something else. */
function identify(session: Session, packet: Packet): void {
  const { bytes, authStart, authEnd } = packet;
  const known = session.identitiesBytes;
  if (known !== null && known.length === authEnd - authStart && bytesEqualAt(bytes, authStart, known)) return;
  session.identitiesBytes = bytes.slice(authStart, authEnd);
  session.identities = packet.identities();
}
