/**
 * Proposer: a wish becomes a txn in the ledger, where we stand alone or lead.
 *
 * The judge writes the txn's record straight into the batch that the next append will take, the
 * followers get the same bytes, and nothing else is made for it. A refusal is a txn as well: it uses
 * a zxid and keeps its place among the session's other requests.
 */
import { assert } from "../base/assert.ts";
import { counterMax } from "../base/limits.ts";
import { counterOf, type SessionId, zxidNext } from "../base/zxid.ts";
import { Judge } from "../ops/judge.ts";
import { prepare } from "../ops/table.ts";
import type { Session } from "../session/table.ts";
import { ErrorCode } from "../wire/errors.ts";
import { OpCode } from "../wire/opcodes.ts";
import type { Id } from "../wire/records.ts";
import { digestVersion, txnHeaderBytes } from "../wire/txns.ts";
import type { Connection } from "./connection.ts";
import type { Memory } from "./memory.ts";
import type { MemberStats } from "./member_stats.ts";
import type { PeerOptions } from "./options.ts";
import type { Place } from "./place.ts";

const nothing = new Uint8Array(0);

export class Proposer {
  readonly #memory: Memory;
  readonly #place: Place;
  readonly #stats: MemberStats;
  readonly #judge: Judge;
  readonly #digestEnabled: boolean;
  readonly #counterMax: number;

  constructor(memory: Memory, place: Place, stats: MemberStats, options: PeerOptions) {
    this.#memory = memory;
    this.#place = place;
    this.#stats = stats;
    this.#digestEnabled = options.digestEnabled;
    this.#counterMax = place.member?.counterMax ?? counterMax;
    this.#judge = new Judge(memory.tree, memory.overlay, memory.quotas, {
      ...options.judge,
      multiCreatesPlain: place.member !== null,
    }, options.lengths);
  }

  /**
   * `bytes[start, end)` is the request's body. `id`: the session that the txn names where there is none
   * in the table. `refusal`: decided before it came here.
   */
  propose(
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
    const place = this.#place;
    const { ledger, leader } = place;
    assert(place.proposes, "who proposes leads, with a quorum behind it");
    const zxid = zxidNext(leader === null ? ledger.proposed : leader.zxidLast);
    if (leader !== null && counterOf(zxid) >= this.#counterMax) {
      return place.leave(`epoch ${leader.epoch} has no zxids left: a new one is needed`);
    }
    const judge = this.#judge;
    const { applier, overlay, quotas, connections } = this.#memory;
    const txn = ledger.writer;
    const at = txn.room(4 + txnHeaderBytes);
    judge.txn = txn;
    judge.txnEnd = at + 4 + judge.lengths.packetBytesMax;
    judge.zxid = zxid;
    judge.type = op;
    judge.zxidApplied = applier.zxid;
    quotas.zxidProposed = zxid;
    judge.timeMs = place.wallMs;
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
    } else if (this.#digestEnabled) {
      txn.i32(digestVersion);
      txn.i64Halves(overlay.digest.hi | 0, overlay.digest.lo | 0);
    }
    const length = txn.length;
    txn.length = at + 4;
    if (id !== undefined) txn.i64(id);
    else txn.i64Halves(session?.hi ?? 0, session?.lo ?? 0);
    txn.i32(xid);
    txn.i64FromNumber(zxid);
    txn.i64FromNumber(place.wallMs);
    txn.i32(type);
    txn.length = length;
    ledger.propose(zxid, at, connection?.number ?? 0, place.monoMs);
    this.#stats.proposed(length - at - 4);
    if (leader !== null) leader.propose(txn.bytes, at + 4, length, zxid);
    if (connection === null) return;
    connections.pushWrite(connection);
    if (op === OpCode.Create && type === OpCode.CreateContainer) connection.plainCreates.add(zxid);
  }

  /** The end of a session that nobody asked for. */
  expire(session: Session): void {
    if (session.closing) return;
    this.propose(OpCode.CloseSession, null, session, 0, nothing, 0, 0, []);
  }
}
