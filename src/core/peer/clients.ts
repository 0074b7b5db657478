/**
 * Clients: what arrives on the clients' connections, and what is answered. client-protocol 2 to 4.
 *
 * Reads are answered from the tree, in order with the connection's own writes. Writes, new sessions,
 * old ones that come back and syncs take the road that the peer's part in the ensemble says: to the
 * ledger where we lead or stand alone, to the leader where we follow.
 *
 * Always true: each connection's replies leave in the order of its requests.
 */
import {
  identitiesMax,
  identityBytesMax,
  replyBytesMax,
  replyBytesPause,
  requestHeaderBytes,
} from "../base/limits.ts";
import { fail } from "../base/assert.ts";
import { sessionHex, type SessionId, sessionIdOf } from "../base/zxid.ts";
import { type Applier, writeEvent } from "../ops/applier.ts";
import { beginFrame, endFrame, failFrame, headerFrame } from "../ops/frames.ts";
import { type Emit, isSlow, type Reads, WatchesPlace, writeMultiEnd } from "../ops/reads.ts";
import { authenticate } from "../session/auth.ts";
import { passwordMatches } from "../session/password.ts";
import type { Session, SessionTable } from "../session/table.ts";
import { ErrorCode } from "../wire/errors.ts";
import { OpCode, opName, Xid } from "../wire/opcodes.ts";
import { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";
import type { Waiting } from "./client_order.ts";
import { type Connection, ConnectionState } from "./connection.ts";
import type { ConnectionTable } from "./connection_table.ts";
import type { PeerCounters } from "./counters.ts";
import { readConnectAsked, writeConnectResponse } from "./handshake.ts";
import type { PeerOptions } from "./options.ts";
import { HeldConnects } from "./held_connects.ts";
import type { Outbox } from "./outbox.ts";

/** Where requests go that this peer may not answer alone. */
export interface Road {
  /** Clients may have sessions now. */
  readonly serving: boolean;
  /** A leader is being elected, and may be there in a moment. */
  readonly electing: boolean;
  /** What a client has seen up to here is not ahead of us. */
  readonly zxidSeenMax: number;
  write(
    op: number,
    connection: Connection,
    session: Session,
    xid: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void;
  /** Asks for a session; `attach` or the end of the connection follows. */
  createSession(connection: Connection, timeoutMs: number): void;
  /** The password is right. Is the session alive? `attach` or `refuseSession` follows, perhaps at once. */
  reattach(connection: Connection, id: SessionId, timeoutMs: number): void;
  /** Must the sync in `waiting` wait? Then `waiting.blocked` is set, and `released` follows. */
  sync(connection: Connection, waiting: Waiting): void;
  /** A sync may be answered at once: there is nobody whose word could be newer. */
  readonly syncAtOnce: boolean;
  /** A session was heard. */
  touch(session: Session): void;
}

export interface ClientsParts {
  readonly options: PeerOptions;
  readonly outbox: Outbox;
  readonly counters: PeerCounters;
  readonly table: ConnectionTable;
  readonly sessions: SessionTable;
  readonly reads: Reads;
  readonly applier: Applier;
  readonly road: Road;
}

const unservedNotePauseMs = 1000;

export class Clients {
  readonly options: PeerOptions;
  readonly outbox: Outbox;
  readonly counters: PeerCounters;
  readonly table: ConnectionTable;
  readonly sessions: SessionTable;
  readonly applier: Applier;
  readonly #reads: Reads;
  readonly #road: Road;
  readonly #reader = new Reader();
  readonly #held = new HeldConnects();
  /** The time of the step that runs. */
  wallMs = 0;
  monoMs = 0;
  #unservedNoteMs = 0;
  /** Reads answered in this turn, to be timed at its end. */
  readsUntimed = 0;

  constructor(parts: ClientsParts) {
    this.options = parts.options;
    this.outbox = parts.outbox;
    this.counters = parts.counters;
    this.table = parts.table;
    this.sessions = parts.sessions;
    this.applier = parts.applier;
    this.#reads = parts.reads;
    this.#road = parts.road;
  }

  // -------------------------------------------------------------------------------------- frames

  frame(connection: Connection, bytes: Uint8Array, start: number, end: number): void {
    switch (connection.state) {
      case ConnectionState.Open:
        return this.#request(connection, bytes, start, end);
      case ConnectionState.Fresh:
        if (this.#road.electing && this.#held.hold(connection, bytes, start, end, this.monoMs)) return;
        return this.#connect(connection, bytes, start, end);
      case ConnectionState.Opening:
        fail("a line whose session is not there yet is not read from");
        return;
      default:
        // Closing or closed: what follows a closeSession is dropped.
        return;
    }
  }

  refuse(connection: Connection, event: string, message: string): void {
    this.outbox.note("warn", event, message, { client: `${connection.address}:${connection.port}` });
    this.table.close(connection);
  }

  /** Clients that were held: those whose time is over, or all of them, for there is a leader. */
  takeHeld(untilMs: number): void {
    for (const { connection, frame } of this.#held.take(untilMs)) {
      this.#connect(connection, frame, 0, frame.length);
    }
  }

  /** All the clients of an ensemble look for a leader at once, again and again: noted once a second. */
  #refuseUnserved(connection: Connection): void {
    const isLoud = this.monoMs >= this.#unservedNoteMs;
    if (!isLoud) return this.table.close(connection);
    this.#unservedNoteMs = this.monoMs + unservedNotePauseMs;
    this.refuse(connection, "connect_not_serving", "Closed: this server has no leader, so it serves nobody");
  }

  /** The ConnectRequest. client-protocol 2.2, with the password checked before anybody is disturbed. */
  #connect(connection: Connection, bytes: Uint8Array, start: number, end: number): void {
    const r = this.#reader;
    r.reset(bytes, start, end);
    connection.packetsReceived++;
    this.counters.packetsReceived++;
    const asked = readConnectAsked(r);
    if (asked === null) {
      return this.refuse(connection, "connect_malformed", "Closed: the first frame is no ConnectRequest");
    }
    connection.hasReadOnlyByte = asked.hasReadOnlyByte;
    const { zxidSeen, idHi, idLo, password } = asked;
    if (!this.#road.serving) return this.#refuseUnserved(connection);
    if (zxidSeen > this.#road.zxidSeenMax) {
      return this.refuse(
        connection,
        "connect_ahead",
        `Refused session: client has seen zxid 0x${zxidSeen.toString(16)}, ours is 0x${
          this.#road.zxidSeenMax.toString(16)
        }; it must try another server`,
      );
    }
    const { sessionTimeoutMsMin, sessionTimeoutMsMax } = this.options;
    const timeoutMs = Math.min(Math.max(asked.timeoutMs, sessionTimeoutMsMin), sessionTimeoutMsMax);
    connection.opLast = OpCode.CreateSession;
    if (idHi === 0 && idLo === 0) {
      connection.state = ConnectionState.Opening;
      return this.#road.createSession(connection, timeoutMs);
    }
    const id = sessionIdOf(idHi, idLo);
    if (!passwordMatches(id, password)) return this.refuseSession(connection, id);
    connection.state = ConnectionState.Opening;
    this.#road.reattach(connection, id, timeoutMs);
  }

  /** The session is unknown, expired, or not this client's: it may ask for a new one. */
  refuseSession(connection: Connection, id: SessionId): void {
    if (connection.state === ConnectionState.Closed) return;
    this.outbox.note(
      "info",
      "session_invalid",
      `Refused session ${sessionHex(id)}: unknown, expired or wrong password`,
      { session: sessionHex(id), client: `${connection.address}:${connection.port}` },
    );
    this.welcome(connection, 0, null);
    this.table.close(connection);
  }

  /** The session is alive and this client's: whoever held it here before is ended. */
  takeOver(connection: Connection, session: Session, timeoutMs: number): void {
    if (connection.state === ConnectionState.Closed) return;
    const before = this.table.get(session.connection);
    if (session.connection !== 0 && before !== null && before !== connection) this.table.close(before);
    session.timeoutMs = timeoutMs;
    this.attach(connection, session);
  }

  attach(connection: Connection, session: Session): void {
    session.connection = connection.number;
    connection.session = session;
    connection.state = ConnectionState.Open;
    connection.opLast = OpCode.CreateSession;
    connection.establishedWallMs = this.wallMs;
    this.sessions.touch(session, this.monoMs);
    this.#road.touch(session);
    this.welcome(connection, session.timeoutMs, session);
  }

  welcome(connection: Connection, timeoutMs: number, session: Session | null): void {
    writeConnectResponse(connection.out, timeoutMs, session, connection.hasReadOnlyByte);
    connection.packetsSent++;
    this.counters.packetsSent++;
    this.table.touch(connection);
  }

  #request(connection: Connection, bytes: Uint8Array, start: number, end: number): void {
    if (end - start < requestHeaderBytes) {
      return this.refuse(
        connection,
        "frame_short",
        `Closed: a request of ${end - start} bytes has no header`,
      );
    }
    const r = this.#reader;
    r.reset(bytes, start, end);
    const xid = r.i32();
    const op = r.i32();
    connection.packetsReceived++;
    this.counters.packetsReceived++;
    if (op === OpCode.Auth) return this.#auth(connection, xid, r);
    if (op === OpCode.Sasl) {
      headerFrame(connection.out, xid, 0, 0);
      connection.out.i32(-1);
      connection.out.i32At(connection.out.length - 24, 20);
      return this.table.touch(connection);
    }
    if (this.options.enforceAuthSchemes.length > 0 && !this.#isProven(connection)) {
      headerFrame(connection.out, xid, 0, ErrorCode.SessionClosedRequireSaslAuth);
      this.table.touch(connection);
      return this.refuse(
        connection,
        "auth_required",
        "Closed: a request before the required authentication",
      );
    }
    const session = connection.session as Session;
    // Expiring: its close is on the way and will end this connection.
    if (session.closing) return;
    this.sessions.touch(session, this.monoMs);
    this.#road.touch(session);
    connection.opLast = op;
    this.counters.countRequest(op);
    if (xid >= 0) connection.cxidLast = xid;
    switch (op) {
      case OpCode.SetData:
      case OpCode.Create:
      case OpCode.Create2:
      case OpCode.CreateContainer:
      case OpCode.CreateTtl:
      case OpCode.Delete:
      case OpCode.SetAcl:
      case OpCode.Multi:
      case OpCode.Reconfig:
        return this.#road.write(op, connection, session, xid, bytes, start + requestHeaderBytes, end);
      case OpCode.CloseSession:
        this.#road.write(op, connection, session, xid, bytes, start + requestHeaderBytes, end);
        if (connection.state === ConnectionState.Open) connection.state = ConnectionState.Closing;
        return;
      case OpCode.GetData:
      case OpCode.Exists:
      case OpCode.GetChildren:
      case OpCode.GetChildren2:
      case OpCode.GetAcl:
      case OpCode.Ping:
      case OpCode.CheckWatches:
      case OpCode.RemoveWatches:
      case OpCode.MultiRead:
      case OpCode.SetWatches:
      case OpCode.SetWatches2:
      case OpCode.GetEphemerals:
      case OpCode.GetAllChildrenNumber:
      case OpCode.AddWatch:
      case OpCode.WhoAmI:
        if (isSlow(op, r.left)) {
          this.#wait(connection, bytes, start, end, this.#reads.replyBytes(op, r), new WatchesPlace());
          return this.readsBehind(connection);
        }
        if (connection.order.empty) return this.#read(connection, xid, op, r, this.monoMs);
        this.#wait(connection, bytes, start, end, this.#reads.replyBytes(op, r));
        return;
      case OpCode.Sync: {
        if (this.#road.syncAtOnce) {
          if (connection.order.empty) return this.#read(connection, xid, op, r, this.monoMs);
          this.#wait(connection, bytes, start, end, 0);
          return;
        }
        const waiting = this.#wait(connection, bytes, start, end, 0);
        waiting.blocked = true;
        return this.#road.sync(connection, waiting);
      }
      default:
        // Also what no client may ask: check alone, createSession, deleteContainer (client-protocol 4.7).
        headerFrame(connection.out, xid, -1, ErrorCode.Unimplemented);
        this.table.touch(connection);
        return this.refuse(
          connection,
          "op_unknown",
          `Closed: ${opName(op)} is not an operation that clients may ask`,
        );
    }
  }

  #wait(
    connection: Connection,
    bytes: Uint8Array,
    start: number,
    end: number,
    replyBytes: number,
    place: WatchesPlace | null = null,
  ): Waiting {
    const { identities } = connection;
    const arrivedMs = this.monoMs;
    const waiting: Waiting = { bytes, start, end, arrivedMs, identities, replyBytes, blocked: false, place };
    this.table.pushWaiting(connection, waiting);
    return waiting;
  }

  /** The sync has waited long enough. */
  released(connection: Connection, waiting: Waiting): void {
    waiting.blocked = false;
    if (connection.state !== ConnectionState.Closed) this.readsBehind(connection);
  }

  #isProven(connection: Connection): boolean {
    return connection.identities.some(({ scheme }) => this.options.enforceAuthSchemes.includes(scheme));
  }

  /** Answered at once, before requests that wait; later requests have the new identities. */
  #auth(connection: Connection, xid: number, r: Reader): void {
    r.i32();
    const scheme = r.string();
    const auth = r.buffer();
    const added = r.failed ? null : authenticate(scheme, auth, connection.address, this.options.judge.auth);
    this.table.touch(connection);
    if (added === null) {
      this.counters.authFailed++;
      headerFrame(connection.out, xid, 0, ErrorCode.AuthFailed);
      return this.refuse(
        connection,
        "auth_failed",
        `Closed: authentication with scheme ${JSON.stringify(scheme?.slice(0, 100) ?? null)} failed`,
      );
    }
    const fresh = added.filter((one) =>
      !connection.identities.some((known) => known.scheme === one.scheme && known.id === one.id)
    );
    if (fresh.length > 0) {
      const identities = [...fresh, ...connection.identities];
      const bytes = identities.reduce((sum, one) => sum + one.id.length, 0);
      if (identities.length > identitiesMax || bytes > identityBytesMax) {
        headerFrame(connection.out, xid, 0, ErrorCode.AuthFailed);
        return this.refuse(
          connection,
          "auth_many",
          `Closed: more than ${identitiesMax} identities or ${identityBytesMax} bytes of them on one connection`,
        );
      }
      connection.identities = identities;
    }
    headerFrame(connection.out, xid, 0, ErrorCode.Ok);
  }

  // --------------------------------------------------------------------------------------- reads

  #read(connection: Connection, xidAsked: number, op: number, r: Reader, arrivedMs: number): void {
    const { out } = connection;
    const xid = op === OpCode.Ping ? Xid.Ping : xidAsked;
    if (op === OpCode.SetWatches || op === OpCode.SetWatches2) {
      const place = new WatchesPlace();
      const code = this.#setWatches(connection, op, r, place);
      if (code !== ErrorCode.QuotaExceeded) this.#watchesSet(connection, xid, code, arrivedMs);
      return;
    }
    const at = beginFrame(out, xid, this.applier.zxid);
    const code = this.#reads.answer(op, r, out, connection);
    if (code === ErrorCode.Ok) endFrame(out, at);
    else {
      failFrame(out, at, code);
      if (code === ErrorCode.QuotaExceeded) this.counters.watchesRefused++;
      // The original ends a multiRead with a write in it by the terminator all the same.
      if (op === OpCode.MultiRead && !r.failed) {
        writeMultiEnd(out);
        endFrame(out, at);
      }
    }
    this.#answered(connection, out.length - at, arrivedMs);
  }

  /** The watches of one turn. Their events precede the reply, so its frame begins after them. */
  #setWatches(connection: Connection, op: number, r: Reader, place: WatchesPlace): number {
    const emit: Emit = (type, bytes, start, end) => {
      writeEvent(connection.out, -1, type, bytes, start, end);
      connection.packetsSent++;
    };
    const code = this.#reads.setWatches(r, connection, emit, op === OpCode.SetWatches2, place);
    // No client looks at the code: it would believe that it has watches that it has not.
    if (code === ErrorCode.QuotaExceeded) this.#refuseWatches(connection);
    return code;
  }

  #watchesSet(connection: Connection, xid: number, code: number, arrivedMs: number): void {
    headerFrame(connection.out, xid, this.applier.zxid, code);
    this.#answered(connection, 20, arrivedMs);
  }

  #refuseWatches(connection: Connection): void {
    this.counters.watchesRefused++;
    const { watchesPerConnectionMax } = this.options;
    this.refuse(
      connection,
      "watches_many",
      `Closed: more than ${watchesPerConnectionMax} watches on one connection`,
    );
  }

  #answered(connection: Connection, bytes: number, arrivedMs: number): void {
    const latency = this.monoMs - arrivedMs;
    connection.packetsSent++;
    connection.countReply(latency, this.monoMs, this.applier.zxid);
    this.counters.countResponse(bytes - 4);
    // One answered in the turn it came in is timed when the turn ends.
    if (latency === 0) this.readsUntimed++;
    else {
      this.counters.latency.record(latency);
      this.counters.read.record(latency);
    }
    this.table.touch(connection);
  }

  // ------------------------------------------------------------------------------------- answers

  reply(
    connection: Connection,
    cxid: number,
    zxid: number,
    code: number,
    body: Writer,
    arrivedMs: number,
  ): void {
    if (connection.state === ConnectionState.Closed) return;
    // The session went to another server while this was on its way: the line ends without a word, or
    // the client would take the refusal for the new line's (ZOOKEEPER-710).
    if (code === ErrorCode.SessionMoved) return this.table.close(connection);
    const { out } = connection;
    const at = beginFrame(out, cxid, zxid);
    if (code === ErrorCode.Ok) {
      if (body.length > 0) out.rawRange(body.bytes, 0, body.length);
      endFrame(out, at);
    } else failFrame(out, at, code);
    const latency = this.monoMs - arrivedMs;
    connection.packetsSent++;
    connection.countReply(latency, this.monoMs, zxid);
    this.counters.countResponse(out.length - at - 4);
    this.counters.latency.record(latency);
    this.counters.write.record(latency);
    this.table.touch(connection);
    this.readsBehind(connection);
  }

  /**
   * Reads that waited for the write just answered, up to the next write. What there is no room for goes
   * on once the client took some.
   */
  readsBehind(connection: Connection): void {
    while (connection.flow.owed <= replyBytesPause && this.#readNext(connection)) {
      // The others have their turn before the rest of a long one.
      if ((connection.order.ready?.place?.at ?? 0) > 0) return;
    }
  }

  /** A write of this connection is about to change the tree: the reads before it must not see that. */
  readsBefore(connection: Connection): void {
    const owed = connection.flow.owed;
    while (this.#readNext(connection)) {
      if (connection.flow.owed - owed <= replyBytesMax) continue;
      return this.refuse(
        connection,
        "replies_unsent",
        `Closed: reads that wait between two writes are answered with more than ${replyBytesMax} bytes`,
      );
    }
  }

  #readNext(connection: Connection): boolean {
    const waiting = connection.order.ready;
    if (waiting === null) return false;
    const r = this.#reader;
    r.reset(waiting.bytes, waiting.start, waiting.end);
    const xid = r.i32();
    const op = r.i32();
    const { place } = waiting;
    if (place !== null) {
      const code = this.#setWatches(connection, op, r, place);
      if (code === ErrorCode.QuotaExceeded) return false;
      if (code === ErrorCode.Ok && !place.isDone) {
        this.table.touch(connection);
        return true;
      }
      this.table.shiftWaiting(connection);
      this.#watchesSet(connection, xid, code, waiting.arrivedMs);
      return true;
    }
    this.table.shiftWaiting(connection);
    const { identities } = connection;
    connection.identities = waiting.identities;
    this.#read(connection, xid, op, r, waiting.arrivedMs);
    connection.identities = identities;
    return true;
  }
}
