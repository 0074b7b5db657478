/**
 * Peer: one whole member of the ensemble; for now, an ensemble of one.
 *
 * `step(event)` is the only way in, the outbox the only way out. Here requests find their road: reads
 * are answered from the tree, in order with the connection's own writes; writes are judged on the
 * overlay, proposed to the ledger and, once durable, applied and answered.
 *
 * Always true: nothing is answered before its txn is durable; each connection's replies leave in the
 * order of its requests; an event leaves before the reply that could reveal its change.
 */
import { assert, unreachable } from "../base/assert.ts";
import { identitiesMax, identityBytesMax, requestHeaderBytes, unsentBytesMax } from "../base/limits.ts";
import { sessionHex, type SessionId, sessionIdOf, type Zxid, zxidHex, zxidNext } from "../base/zxid.ts";
import { Applier, writeEvent } from "../ops/applier.ts";
import { beginFrame, endFrame, failFrame, headerFrame } from "../ops/frames.ts";
import { Judge } from "../ops/judge.ts";
import { prepare } from "../ops/table.ts";
import { type Emit, Reads, writeMultiEnd } from "../ops/reads.ts";
import { authenticate } from "../session/auth.ts";
import { passwordMatches, sessionIdFirst } from "../session/password.ts";
import { type Session, SessionTable } from "../session/table.ts";
import { Overlay } from "../tree/overlay.ts";
import { Quotas } from "../tree/quota.ts";
import { Tree } from "../tree/tree.ts";
import { WatchTable } from "../watch/table.ts";
import { ErrorCode } from "../wire/errors.ts";
import { OpCode, opName, Xid } from "../wire/opcodes.ts";
import { Reader } from "../wire/reader.ts";
import { digestVersion, txnHeaderAt, txnHeaderBytes } from "../wire/txns.ts";
import { Writer } from "../wire/writer.ts";
import { type AppendBatch, Ledger } from "../zab/ledger.ts";
import { type Connection, ConnectionState } from "./connection.ts";
import { ConnectionTable } from "./connection_table.ts";
import type { PeerEvent } from "./events.ts";
import { Loader } from "./loader.ts";
import { Outbox } from "./outbox.ts";
import { readConnectAsked, writeConnectResponse } from "./handshake.ts";
import type { PeerOptions } from "./options.ts";
import { PeerCounters } from "./counters.ts";
import { Reaper } from "./reaper.ts";

export type { PeerOptions };

/** A gap between ticks shorter than this is no gap. */
const clockGapMsMin = 3000;

export class Peer {
  readonly tree: Tree;
  readonly sessions: SessionTable;
  readonly dataWatches: WatchTable;
  readonly childWatches: WatchTable;
  readonly quotas: Quotas;
  readonly applier: Applier;
  readonly counters = new PeerCounters();
  readonly outbox = new Outbox();
  readonly options: PeerOptions;

  readonly #table: ConnectionTable;
  readonly #overlay: Overlay;
  readonly #judge: Judge;
  readonly #reads: Reads;
  readonly #reaper: Reaper;
  readonly #reader = new Reader();
  readonly #body = new Writer(1024);
  #ledger = new Ledger(0 as Zxid);
  #sessionNext: SessionId;
  #readsUntimed = 0;
  #wallMs: number;
  #monoMs: number;
  #tickLastMonoMs: number;
  #loaded = false;

  constructor(options: PeerOptions) {
    this.options = options;
    const { hashSeed } = options;
    this.tree = new Tree({ digestEnabled: options.digestEnabled, hashSeed });
    this.dataWatches = new WatchTable(hashSeed);
    this.childWatches = new WatchTable(hashSeed);
    this.#table = new ConnectionTable(this.outbox, this.counters, [this.dataWatches, this.childWatches]);
    this.sessions = new SessionTable(options.tickMs);
    this.quotas = new Quotas(this.tree, { enforce: options.judge.enforceQuota });
    this.#overlay = new Overlay(this.tree);
    this.#judge = new Judge(this.tree, this.#overlay, this.quotas, options.judge);
    this.#reads = new Reads(this.tree, this.dataWatches, this.childWatches, {
      skipAcl: options.judge.skipAcl,
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
    this.#sessionNext = sessionIdFirst(options.serverId, options.bornWallMs);
    this.#wallMs = options.bornWallMs;
    this.#monoMs = options.bornMonoMs;
    this.#tickLastMonoMs = options.bornMonoMs;
  }

  // -------------------------------------------------------------------------------------- birth

  /** Fills the peer from the disk; `begin` must follow. */
  loader(): Loader {
    assert(!this.#loaded, "a peer is loaded once");
    return new Loader(this.tree, this.sessions, this.applier);
  }

  /** All that the disk holds is in memory: from here on events are taken. */
  begin(zxid: Zxid, monoMs: number): void {
    assert(!this.#loaded, "a peer begins once");
    this.#loaded = true;
    if (this.tree.findText("/zookeeper") === 0) this.tree.makeReserved();
    this.applier.zxid = zxid;
    this.#ledger = new Ledger(zxid);
    this.#tickLastMonoMs = monoMs;
    this.quotas.rebuild();
    this.#overlay.drop();
    const { digestMismatches } = this.applier;
    if (digestMismatches > 0) {
      this.outbox.note(
        "warn",
        "digest_mismatch",
        `${digestMismatches} of the txns read from the log left another tree than when they were written: compare with another copy`,
        { mismatches: digestMismatches },
      );
    }
    // Nobody could renew while we were down: everyone gets the full time again.
    for (const session of this.sessions.all()) this.sessions.watch(session, monoMs);
    // The original drops ephemerals without a session from memory alone; a txn says it to the log too.
    for (const id of [...this.tree.ephemerals.keys()]) {
      if (this.sessions.get(id) === undefined) this.#proposeExpiry(this.sessions.open(id, 0));
    }
  }

  get zxid(): Zxid {
    return this.applier.zxid as Zxid;
  }

  get inFlight(): number {
    return this.#ledger.inFlight;
  }

  get appendBytesWaiting(): number {
    return this.#ledger.bytesWaiting;
  }

  /** The next batch for the log, or null. One at a time: the next after `durable` for this one. */
  takeAppend(): AppendBatch | null {
    return this.#ledger.takeAppend();
  }

  /** The turn ends now: what was read in it took this long. */
  timeReads(monoMs: number): void {
    const latency = Math.max(0, monoMs - this.#monoMs);
    for (; this.#readsUntimed > 0; this.#readsUntimed--) {
      this.counters.latency.record(latency);
      this.counters.read.record(latency);
    }
  }

  get hasUntimedReads(): boolean {
    return this.#readsUntimed > 0;
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

  // --------------------------------------------------------------------------------------- step

  step(event: PeerEvent): Outbox {
    this.#wallMs = event.wallMs;
    this.#monoMs = event.monoMs;
    switch (event.kind) {
      case "clientFrame": {
        const connection = this.connections[event.connection];
        if (connection !== null && connection !== undefined) {
          this.#frame(connection, event.bytes, event.start, event.end);
        }
        break;
      }
      case "clientClosed": {
        const connection = this.connections[event.connection];
        if (connection !== null && connection !== undefined && connection.state !== ConnectionState.Closed) {
          this.#table.forget(connection);
        }
        break;
      }
      case "durable":
        this.#ledger.durableUpTo(event.last, this.#commit);
        if (this.#ledger.inFlight === 0) {
          assert(this.#overlay.size === 0, "with nothing in flight nothing is pending");
          this.quotas.settleAll();
        }
        this.outbox.committed = true;
        break;
      case "tick":
        this.#tick();
        break;
      default:
        unreachable(event);
    }
    return this.outbox;
  }

  #tick(): void {
    const late = this.#monoMs - this.#tickLastMonoMs;
    this.#tickLastMonoMs = this.#monoMs;
    // A process that was stopped or starved has heard nobody meanwhile: first let the pings in.
    if (late > Math.max(3 * this.options.tickMs, clockGapMsMin)) {
      this.outbox.note(
        "warn",
        "clock_gap",
        `Did not run for ${Math.round(late)} ms: sessions get that time back`,
        {
          gapMs: Math.round(late),
        },
      );
      for (const session of this.sessions.all()) {
        session.deadlineMs += Math.ceil(late / this.options.tickMs) * this.options.tickMs;
      }
    }
    for (const session of this.sessions.expired(this.#monoMs)) {
      this.counters.sessionsExpired++;
      this.outbox.note(
        "info",
        "session_expired",
        `Expiring session ${sessionHex(session.id)}, timeout of ${session.timeoutMs}ms exceeded`,
        { session: sessionHex(session.id), timeoutMs: session.timeoutMs },
      );
      this.#proposeExpiry(session);
    }
    for (const path of this.#reaper.due(this.#wallMs, this.#monoMs)) {
      const body = new Writer(64);
      body.string(path);
      this.#propose(OpCode.DeleteContainer, null, null, 0, body.bytes, 0, body.length);
    }
  }

  #proposeExpiry(session: Session): void {
    if (session.closing) return;
    this.#propose(OpCode.CloseSession, null, session, 0, this.#body.bytes, 0, 0);
  }

  // -------------------------------------------------------------------------------------- frames

  #frame(connection: Connection, bytes: Uint8Array, start: number, end: number): void {
    switch (connection.state) {
      case ConnectionState.Open:
        return this.#request(connection, bytes, start, end);
      case ConnectionState.Fresh:
        return this.#connect(connection, bytes, start, end);
      case ConnectionState.Opening:
        connection.waitingToOpen.push({
          bytes,
          start,
          end,
          arrivedMs: this.#monoMs,
          identities: connection.identities,
          replyBytes: 0,
        });
        return;
      default:
        // Closing or closed: what follows a closeSession is dropped.
        return;
    }
  }

  #refuse(connection: Connection, event: string, message: string): void {
    this.outbox.note("warn", event, message, { client: `${connection.address}:${connection.port}` });
    this.#table.close(connection);
  }

  /** The ConnectRequest. client-protocol 2.2, with the password checked before anybody is disturbed. */
  #connect(connection: Connection, bytes: Uint8Array, start: number, end: number): void {
    const r = this.#reader;
    r.reset(bytes, start, end);
    connection.packetsReceived++;
    this.counters.packetsReceived++;
    const asked = readConnectAsked(r);
    if (asked === null) {
      return this.#refuse(connection, "connect_malformed", "Closed: the first frame is no ConnectRequest");
    }
    connection.hasReadOnlyByte = asked.hasReadOnlyByte;
    const { zxidSeen, idHi, idLo, password } = asked;
    if (zxidSeen > this.zxid) {
      return this.#refuse(
        connection,
        "connect_ahead",
        `Refused session: client has seen zxid 0x${zxidSeen.toString(16)}, ours is ${
          zxidHex(this.zxid)
        }; it must try another server`,
      );
    }
    const { sessionTimeoutMsMin, sessionTimeoutMsMax } = this.options;
    const timeoutMs = Math.min(Math.max(asked.timeoutMs, sessionTimeoutMsMin), sessionTimeoutMsMax);
    if (idHi === 0 && idLo === 0) {
      connection.state = ConnectionState.Opening;
      let id = this.#sessionNext;
      // A clock that was set back may offer the id of a session that lives.
      while (this.sessions.get(id) !== undefined) id = (id + 1n) as SessionId;
      this.#sessionNext = (id + 1n) as SessionId;
      connection.sessionOffered = id;
      connection.opLast = OpCode.CreateSession;
      this.#body.clear();
      this.#body.i32(timeoutMs);
      this.#propose(OpCode.CreateSession, connection, null, 0, this.#body.bytes, 0, this.#body.length);
      return;
    }
    this.#reattach(connection, sessionIdOf(idHi, idLo), password, timeoutMs);
  }

  #reattach(connection: Connection, id: SessionId, password: Uint8Array | null, timeoutMs: number): void {
    const session = this.sessions.get(id);
    if (session === undefined || session.closing || !passwordMatches(id, password)) {
      this.outbox.note(
        "info",
        "session_invalid",
        `Refused session ${sessionHex(id)}: unknown, expired or wrong password`,
        {
          session: sessionHex(id),
          client: `${connection.address}:${connection.port}`,
        },
      );
      this.#welcome(connection, 0, null);
      this.#table.close(connection);
      return;
    }
    const before = this.connections[session.connection];
    if (session.connection !== 0 && before !== null && before !== undefined) this.#table.close(before);
    session.timeoutMs = timeoutMs;
    this.#attach(connection, session);
  }

  #attach(connection: Connection, session: Session): void {
    session.connection = connection.number;
    connection.session = session;
    connection.state = ConnectionState.Open;
    connection.opLast = OpCode.CreateSession;
    connection.establishedWallMs = this.#wallMs;
    this.sessions.touch(session, this.#monoMs);
    this.#welcome(connection, session.timeoutMs, session);
    const waiting = connection.waitingToOpen;
    connection.waitingToOpen = [];
    for (const frame of waiting) this.#frame(connection, frame.bytes, frame.start, frame.end);
  }

  #welcome(connection: Connection, timeoutMs: number, session: Session | null): void {
    writeConnectResponse(connection.out, timeoutMs, session, connection.hasReadOnlyByte);
    connection.packetsSent++;
    this.counters.packetsSent++;
    this.outbox.touch(connection);
  }

  #request(connection: Connection, bytes: Uint8Array, start: number, end: number): void {
    if (end - start < requestHeaderBytes) {
      return this.#refuse(
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
      return this.outbox.touch(connection);
    }
    if (this.options.enforceAuthSchemes.length > 0 && !this.#isProven(connection)) {
      headerFrame(connection.out, xid, 0, ErrorCode.SessionClosedRequireSaslAuth);
      this.outbox.touch(connection);
      return this.#refuse(
        connection,
        "auth_required",
        "Closed: a request before the required authentication",
      );
    }
    const session = connection.session as Session;
    // Expiring: its close is on the way and will end this connection.
    if (session.closing) return;
    this.sessions.touch(session, this.#monoMs);
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
        return this.#propose(op, connection, session, xid, bytes, start + requestHeaderBytes, end);
      case OpCode.CloseSession:
        this.#propose(op, connection, session, xid, bytes, start + requestHeaderBytes, end);
        connection.state = ConnectionState.Closing;
        return;
      case OpCode.GetData:
      case OpCode.Exists:
      case OpCode.GetChildren:
      case OpCode.GetChildren2:
      case OpCode.GetAcl:
      case OpCode.Sync:
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
        if (connection.order.empty) return this.#read(connection, xid, op, r, this.#monoMs);
        this.#table.pushWaiting(connection, {
          bytes,
          start,
          end,
          arrivedMs: this.#monoMs,
          identities: connection.identities,
          replyBytes: this.#reads.replyBytes(op, r),
        });
        return;
      default:
        // Also what no client may ask: check alone, createSession, deleteContainer (client-protocol 4.7).
        headerFrame(connection.out, xid, -1, ErrorCode.Unimplemented);
        this.outbox.touch(connection);
        return this.#refuse(
          connection,
          "op_unknown",
          `Closed: ${opName(op)} is not an operation that clients may ask`,
        );
    }
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
    this.outbox.touch(connection);
    if (added === null) {
      this.counters.authFailed++;
      headerFrame(connection.out, xid, 0, ErrorCode.AuthFailed);
      return this.#refuse(
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
        return this.#refuse(
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
    // Events of setWatches precede its reply, so the reply's frame begins after them.
    if (op === OpCode.SetWatches || op === OpCode.SetWatches2) {
      const emit: Emit = (type, bytes, start, end) => {
        writeEvent(out, -1, type, bytes, start, end);
        connection.packetsSent++;
      };
      const code = this.#reads.setWatches(r, connection, emit, op === OpCode.SetWatches2);
      headerFrame(out, xid, this.applier.zxid, code);
      return this.#answered(connection, 20, arrivedMs);
    }
    const at = beginFrame(out, xid, this.applier.zxid);
    const code = this.#reads.answer(op, r, out, connection);
    if (code === ErrorCode.Ok) endFrame(out, at);
    else {
      failFrame(out, at, code);
      // The original ends a multiRead with a write in it by the terminator all the same.
      if (op === OpCode.MultiRead && !r.failed) {
        writeMultiEnd(out);
        endFrame(out, at);
      }
    }
    this.#answered(connection, out.length - at, arrivedMs);
  }

  #answered(connection: Connection, bytes: number, arrivedMs: number): void {
    const latency = this.#monoMs - arrivedMs;
    connection.packetsSent++;
    connection.countReply(latency, this.#monoMs, this.applier.zxid);
    this.counters.countResponse(bytes - 4);
    // One answered in the turn it came in is timed when the turn ends.
    if (latency === 0) this.#readsUntimed++;
    else {
      this.counters.latency.record(latency);
      this.counters.read.record(latency);
    }
    this.outbox.touch(connection);
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
  ): void {
    const ledger = this.#ledger;
    const judge = this.#judge;
    const txn = ledger.writer;
    const at = txn.room(4 + txnHeaderBytes);
    const zxid = zxidNext(ledger.proposed);
    judge.txn = txn;
    judge.zxid = zxid;
    judge.type = op;
    judge.zxidApplied = this.applier.zxid;
    this.quotas.zxidProposed = zxid;
    judge.timeMs = this.#wallMs;
    judge.session = session;
    judge.identities = connection?.identities ?? [];
    judge.reader.reset(bytes, start, end);
    const bodyAt = txn.length;
    const code = prepare(op, judge, session);
    let { type } = judge;
    if (code !== ErrorCode.Ok) {
      type = OpCode.Error;
      txn.length = bodyAt;
      txn.i32(code);
    } else if (this.options.digestEnabled) {
      txn.i32(digestVersion);
      txn.i64Halves(this.#overlay.digest.hi | 0, this.#overlay.digest.lo | 0);
    }
    const offered = op === OpCode.CreateSession ? connection?.sessionOffered : undefined;
    const length = txn.length;
    txn.length = at + 4;
    if (offered !== undefined) txn.i64(offered);
    else txn.i64Halves(session?.hi ?? 0, session?.lo ?? 0);
    txn.i32(xid);
    txn.i64FromNumber(zxid);
    txn.i64FromNumber(this.#wallMs);
    txn.i32(type);
    txn.length = length;
    ledger.propose(zxid, at, connection?.number ?? 0, this.#monoMs);
    if (connection === null) return;
    this.#table.pushWrite(connection);
    if (op === OpCode.Create && type === OpCode.CreateContainer) connection.plainCreates.add(zxid);
  }

  /** One committed txn: applied, and answered to whoever asked here. */
  readonly #commit = (
    bytes: Uint8Array,
    start: number,
    end: number,
    origin: number,
    arrivedMs: number,
  ): void => {
    const { sessionHi, sessionLo, cxid, zxid, type } = txnHeaderAt(bytes, start, end);
    const connection = origin === 0 ? null : (this.connections[origin] ?? null);
    const body = this.#body;
    body.clear();
    const code = this.applier.apply(bytes, start, end, type, zxid, connection === null ? null : body);
    if (type === OpCode.CreateContainer && connection?.plainCreates.delete(zxid) === true) {
      body.length = 4 + new Reader(body.bytes, 0, 4).i32();
    }
    this.counters.commits++;
    this.counters.append.record(this.#monoMs - arrivedMs);
    if (connection !== null) this.#table.writeDone(connection);
    if (type === OpCode.CreateSession) this.#sessionCreated(connection, sessionHi, sessionLo);
    else if (type === OpCode.CloseSession) {
      this.#sessionClosed(connection, sessionHi, sessionLo, zxid, cxid, arrivedMs);
    } else if (connection !== null) this.#reply(connection, cxid, zxid, code, body, arrivedMs);
    if (type !== OpCode.Error) this.applier.checkDigest(bytes, end);
  };

  #reply(
    connection: Connection,
    cxid: number,
    zxid: number,
    code: number,
    body: Writer,
    arrivedMs: number,
  ): void {
    if (connection.state === ConnectionState.Closed) return;
    const { out } = connection;
    const at = beginFrame(out, cxid, zxid);
    if (code === ErrorCode.Ok) {
      if (body.length > 0) out.rawRange(body.bytes, 0, body.length);
      endFrame(out, at);
    } else failFrame(out, at, code);
    const latency = this.#monoMs - arrivedMs;
    connection.packetsSent++;
    connection.countReply(latency, this.#monoMs, zxid);
    this.counters.countResponse(out.length - at - 4);
    this.counters.latency.record(latency);
    this.counters.write.record(latency);
    this.outbox.touch(connection);
    this.#readsBehind(connection);
  }

  /** Reads that waited for the write just answered, up to the next write. */
  #readsBehind(connection: Connection): void {
    const table = this.#table;
    for (
      let waiting = table.shiftWaiting(connection);
      waiting !== null;
      waiting = table.shiftWaiting(connection)
    ) {
      const r = this.#reader;
      r.reset(waiting.bytes, waiting.start, waiting.end);
      const xid = r.i32();
      const op = r.i32();
      const { identities } = connection;
      connection.identities = waiting.identities;
      this.#read(connection, xid, op, r, waiting.arrivedMs);
      connection.identities = identities;
      // The shell can send nothing in between; a thousand reads of a megabyte each are too much at once.
      if (connection.out.length > unsentBytesMax) {
        this.#refuse(
          connection,
          "replies_unsent",
          `Closed: ${connection.out.length} bytes of replies at once, after reads that waited for a write`,
        );
      }
    }
  }

  #sessionCreated(connection: Connection | null, hi: number, lo: number): void {
    const session = this.sessions.get(sessionIdOf(hi, lo));
    assert(session !== undefined, "an applied createSession made a session");
    this.sessions.watch(session, this.#monoMs);
    if (connection !== null && connection.state === ConnectionState.Opening) {
      this.#attach(connection, session);
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
    const session = this.sessions.get(sessionIdOf(hi, lo));
    this.#body.clear();
    this.applier.finishSessionClose(hi, lo, zxid);
    if (asker !== null) {
      this.#reply(asker, cxid, zxid, ErrorCode.Ok, this.#body, arrivedMs);
      this.#table.close(asker);
    }
    const holder = session === undefined || session.connection === 0
      ? null
      : this.connections[session.connection];
    if (holder !== null && holder !== undefined) this.#table.close(holder);
  }
}
