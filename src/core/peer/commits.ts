/**
 * Commits: what becomes of a txn once it counts. Those who follow us are told, the tree takes it, and
 * whoever asked for it here is answered, in this order.
 */
import { assert } from "../base/assert.ts";
import { type Zxid } from "../base/zxid.ts";
import { ErrorCode } from "../wire/errors.ts";
import { OpCode } from "../wire/opcodes.ts";
import { Reader } from "../wire/reader.ts";
import { txnHeaderAt } from "../wire/txns.ts";
import { Writer } from "../wire/writer.ts";
import type { Clients } from "./clients.ts";
import { type Connection, ConnectionState } from "./connection.ts";
import type { PeerCounters } from "./counters.ts";
import type { Memory } from "./memory.ts";
import type { MemberStats } from "./member_stats.ts";
import type { Outbox } from "./outbox.ts";
import type { Place } from "./place.ts";
import type { Roads } from "./roads.ts";

export class Commits {
  readonly #memory: Memory;
  readonly #place: Place;
  readonly #clients: Clients;
  readonly #roads: Roads;
  readonly #counters: PeerCounters;
  readonly #stats: MemberStats;
  readonly #outbox: Outbox;
  /** Of the reply to the txn being applied. */
  readonly #body = new Writer(1024);

  constructor(parts: {
    readonly memory: Memory;
    readonly place: Place;
    readonly clients: Clients;
    readonly roads: Roads;
    readonly counters: PeerCounters;
    readonly stats: MemberStats;
    readonly outbox: Outbox;
  }) {
    this.#memory = parts.memory;
    this.#place = parts.place;
    this.#clients = parts.clients;
    this.#roads = parts.roads;
    this.#counters = parts.counters;
    this.#stats = parts.stats;
    this.#outbox = parts.outbox;
  }

  /** Everything in the ledger counts, up to this zxid. */
  upTo(zxid: Zxid): void {
    const { ledger } = this.#place;
    ledger.commitUpTo(zxid, this.#commit);
    if (ledger.inFlight === 0) {
      assert(this.#memory.overlay.size === 0, "with nothing in flight nothing is pending");
      this.#memory.quotas.settleAll();
    }
    this.#outbox.committed = true;
  }

  readonly #commit = (
    bytes: Uint8Array,
    start: number,
    end: number,
    _zxid: number,
    origin: number,
    arrivedMs: number,
  ): void => {
    const { leader, learner, master, member, monoMs } = this.#place;
    const { applier, connections } = this.#memory;
    const { sessionHi, sessionLo, cxid, zxid, type } = txnHeaderAt(bytes, start, end);
    if (leader !== null) leader.committed(bytes, start, end, zxid);
    else if (master !== null) master.committed(bytes, start, end, zxid);
    const connection = learner !== null
      ? this.#roads.asker(sessionHi, sessionLo, cxid, type)
      : origin === 0
      ? null
      : connections.get(origin);
    const body = this.#body;
    body.clear();
    if (connection !== null && connection.order.isReady) this.#clients.readsBefore(connection);
    const code = applier.apply(bytes, start, end, type, zxid, connection === null ? null : body);
    if (connection !== null && connection.plainCreates.size > 0) {
      const wasPlain = connection.plainCreates.delete(learner === null ? zxid : cxid);
      if (wasPlain && type === OpCode.CreateContainer) body.length = 4 + new Reader(body.bytes, 0, 4).i32();
    }
    this.#counters.commits++;
    const latency = monoMs - arrivedMs;
    this.#counters.append.record(latency);
    if (member !== null) this.#stats.quorumTimes.record(latency);
    if (connection !== null && type !== OpCode.CreateSession) connections.writeDone(connection);
    if (type === OpCode.CreateSession) this.#sessionCreated(connection, sessionHi, sessionLo);
    else if (type === OpCode.CloseSession) {
      this.#sessionClosed(connection, sessionHi, sessionLo, zxid, cxid, arrivedMs);
    } else if (connection !== null) this.#clients.reply(connection, cxid, zxid, code, body, arrivedMs);
    if (type !== OpCode.Error) applier.checkDigest(bytes, end);
  };

  #sessionCreated(connection: Connection | null, hi: number, lo: number): void {
    const { sessions, connections } = this.#memory;
    const session = sessions.find(hi, lo);
    assert(session !== undefined, "an applied createSession made a session");
    if (this.#place.proposes) sessions.watch(session, this.#place.monoMs);
    this.#roads.created(session);
    // Where we follow it was no write of this line, which had no session yet.
    if (this.#place.learner === null && connection !== null) connections.writeDone(connection);
    if (connection !== null && connection.state === ConnectionState.Opening) {
      this.#clients.takeOver(connection, session, session.timeoutMs);
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
    const { sessions, connections, applier } = this.#memory;
    const session = sessions.find(hi, lo);
    this.#body.clear();
    applier.finishSessionClose(hi, lo, zxid);
    if (session !== undefined) this.#roads.closed(session);
    if (asker !== null) {
      this.#clients.reply(asker, cxid, zxid, ErrorCode.Ok, this.#body, arrivedMs);
      connections.close(asker);
    }
    const holder = session === undefined ? null : connections.get(session.connection);
    if (holder !== null) connections.close(holder);
  }
}
