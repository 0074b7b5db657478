/**
 * Applier: a committed txn becomes the tree, the events it owes and the reply to who asked.
 *
 * It runs on every peer in zxid order and may not refuse. Order within a txn: the tree changes, then
 * the watches fire, then the reply is written; so an event always precedes the reply that could
 * reveal the change (client-protocol 3.4). A multi's parts follow one another the same way.
 */
import { bytesOf } from "../base/bytes.ts";
import { digestHistoryEvery, digestHistoryMax } from "../base/limits.ts";
import { Piece } from "../base/piece.ts";
import { sessionIdOf } from "../base/zxid.ts";
import type { SessionTable } from "../session/table.ts";
import { aclAllows, aclIdOpen } from "../tree/acl.ts";
import type { Overlay } from "../tree/overlay.ts";
import { slashLast } from "../tree/path.ts";
import type { Quotas } from "../tree/quota.ts";
import { statBlank, writeStatOf } from "../tree/stat.ts";
import { I, rootRow, type Tree } from "../tree/tree.ts";
import type { WatchTable } from "../watch/table.ts";
import { ErrorCode } from "../wire/errors.ts";
import { eventStateSyncConnected, EventType, OpCode, Perm } from "../wire/opcodes.ts";
import type { Id } from "../wire/records.ts";
import { Reader } from "../wire/reader.ts";
import { digestVersion, txnDigestBytes, type TxnVisitor, walkTxn } from "../wire/txns.ts";
import { Writer } from "../wire/writer.ts";
import { writeMultiEnd, writeMultiHeader } from "./reads.ts";

/** Who can hear events: a connection, seen from here. */
export interface Listener {
  readonly identities: readonly Id[];
  toldAt: number;
}

/** Answers by number. */
export interface Listeners {
  /** Null where nobody is any more. */
  listener(number: number): Listener | null;
  /** Sends it an event; `shared` are the same bytes where several hear it. */
  hear(number: number, event: Writer, shared: Piece | null): void;
}

/** Copies of one event that are worth an array that all share. */
const sharedBytesMin = 1024;

const stat = statBlank();
const slashBytes = new Uint8Array([0x2f]);

export class Applier implements TxnVisitor {
  readonly #tree: Tree;
  readonly #overlay: Overlay;
  readonly #quotas: Quotas;
  readonly #sessions: SessionTable;
  readonly #data: WatchTable;
  readonly #child: WatchTable;
  readonly #listeners: Listeners;
  readonly #skipAcl: boolean;
  readonly #event = new Writer(128);
  readonly #reader = new Reader();
  #told = 1;

  /** Where the reply's body goes, or null where nobody here asked. */
  #reply: Writer | null = null;
  #inMulti = false;
  #op = 0;
  #zxid = 0;

  /** zxid of the last txn applied. */
  zxid = 0;
  readonly events = { created: 0, deleted: 0, dataChanged: 0, childrenChanged: 0 };
  digestMismatches = 0;
  /** The last digest that was compared was the tree's. */
  digestMatched = true;
  digestsRight = 0;
  /** Mismatches since the last that was right. */
  digestsWrongInRow = 0;
  /** Oldest first. */
  readonly digests: { zxid: number; digest: bigint }[] = [];
  /** Sessions closed by the txn being applied; the peer closes their connections. */
  sessionClosedLast: bigint = 0n;

  constructor(parts: {
    tree: Tree;
    overlay: Overlay;
    quotas: Quotas;
    sessions: SessionTable;
    data: WatchTable;
    child: WatchTable;
    listeners: Listeners;
    skipAcl: boolean;
  }) {
    this.#tree = parts.tree;
    this.#overlay = parts.overlay;
    this.#quotas = parts.quotas;
    this.#sessions = parts.sessions;
    this.#data = parts.data;
    this.#child = parts.child;
    this.#listeners = parts.listeners;
    this.#skipAcl = parts.skipAcl;
  }

  /**
   * Applies the txn at `bytes[start, end)`; its reply's body, where one is wanted, goes to `reply`.
   * Returns the error code of the reply's header.
   */
  apply(
    bytes: Uint8Array,
    start: number,
    end: number,
    type: number,
    zxid: number,
    reply: Writer | null,
  ): number {
    this.#reply = reply;
    this.#zxid = zxid;
    this.#quotas.zxidApplied = zxid;
    this.#inMulti = type === OpCode.Multi;
    this.sessionClosedLast = 0n;
    const failed = type === OpCode.Multi && this.#multiFailed(bytes, start, end);
    const known = walkTxn(bytes, start, end, this);
    this.zxid = zxid;
    if (zxid % digestHistoryEvery === 0) this.#rememberDigest(zxid);
    if (!known) return ErrorCode.MarshallingError;
    if (type === OpCode.Error) return this.#errorOf(bytes, start, end);
    if (reply === null) return ErrorCode.Ok;
    if (failed) this.#writeMultiFailure(reply, bytes, start, end);
    if (this.#inMulti) writeMultiEnd(reply);
    return ErrorCode.Ok;
  }

  /** Does the digest that the txn carries equal the tree's? Asked of every txn but errors, which carry none. */
  checkDigest(bytes: Uint8Array, end: number): void {
    if (!this.#tree.digestEnabled) return;
    const r = this.#reader;
    r.reset(bytes, end - txnDigestBytes, end);
    if (r.i32() !== digestVersion) return;
    this.compareDigest(r.i32(), r.i32());
  }

  /** The tree is to have this digest. */
  compareDigest(hi: number, lo: number): void {
    if (!this.#tree.digestEnabled) return;
    this.digestMatched = this.#tree.digest.equals(hi, lo);
    if (this.digestMatched) {
      this.digestsRight++;
      this.digestsWrongInRow = 0;
    } else {
      this.digestMismatches++;
      this.digestsWrongInRow++;
    }
  }

  /**
   * A snapshot that was taken while the tree changed is not the tree at any one zxid, until the txns
   * behind it are applied. If the last of them left the tree that it should, the others are no mismatches.
   */
  forgiveDigests(before: number): void {
    if (this.digestMatched) this.digestMismatches = before;
  }

  #rememberDigest(zxid: number): void {
    this.digests.push({ zxid, digest: this.#tree.digest.value });
    if (this.digests.length > digestHistoryMax) this.digests.shift();
  }

  #errorOf(bytes: Uint8Array, start: number, end: number): number {
    const r = this.#reader;
    r.reset(bytes, start + 32, end);
    return r.i32();
  }

  #multiFailed(bytes: Uint8Array, start: number, end: number): boolean {
    const r = this.#reader;
    r.reset(bytes, start + 32, end);
    const count = r.i32();
    for (let i = 0; i < count && !r.failed; i++) {
      if (r.i32() === OpCode.Error) return true;
      r.span();
    }
    return false;
  }

  /** The parts before the failing one answer 0, it answers its code, the rest RuntimeInconsistency. */
  #writeMultiFailure(out: Writer, bytes: Uint8Array, start: number, end: number): void {
    const r = this.#reader;
    r.reset(bytes, start + 32, end);
    const count = r.i32();
    for (let i = 0; i < count; i++) {
      const type = r.i32();
      const length = r.span();
      let code = 0;
      if (type === OpCode.Error) {
        r.at -= length;
        code = r.i32();
      }
      writeMultiHeader(out, OpCode.Error, code);
      out.i32(code);
    }
  }

  // ------------------------------------------------------------------------------ TxnVisitor

  op(type: number): void {
    this.#op = type;
    const reply = this.#reply;
    if (reply === null || !this.#inMulti) return;
    if (type === OpCode.Delete || type === OpCode.Check || type === OpCode.SetData) {
      writeMultiHeader(reply, type, 0);
    } else writeMultiHeader(reply, type === OpCode.Create ? OpCode.Create : OpCode.Create2, 0);
  }

  created(
    bytes: Uint8Array,
    pathStart: number,
    pathEnd: number,
    dataStart: number,
    dataEnd: number,
    aclsStart: number,
    aclsEnd: number,
    ownerHi: number,
    ownerLo: number,
    parentCversion: number,
    zxid: number,
    timeMs: number,
  ): void {
    const tree = this.#tree;
    const row = tree.create(
      bytes,
      pathStart,
      pathEnd,
      dataStart,
      dataEnd,
      aclsStart,
      aclsEnd,
      ownerHi,
      ownerLo,
      parentCversion,
      zxid,
      timeMs,
    );
    if (row !== 0) {
      const parent = tree.int(row, I.parent);
      this.#overlay.settle(row, zxid);
      this.#overlay.settle(parent, zxid);
      this.#quotas.applied(bytes, pathStart, pathEnd, 1, dataStart < 0 ? 0 : dataEnd - dataStart);
      this.#quotas.written(bytes, pathStart, pathEnd);
      this.#told++;
      this.#fire(this.#data, EventType.NodeCreated, bytes, pathStart, pathEnd, tree.int(row, I.acl));
      this.#fireParent(bytes, pathStart, pathEnd, parent);
    }
    const reply = this.#reply;
    if (reply === null) return;
    reply.i32(pathEnd - pathStart);
    reply.rawRange(bytes, pathStart, pathEnd);
    if (this.#op !== OpCode.Create) this.#writeStat(reply, row);
  }

  deleted(bytes: Uint8Array, pathStart: number, pathEnd: number, zxid: number): void {
    const tree = this.#tree;
    const row = tree.findLive(bytes, pathStart, pathEnd);
    if (row === 0) {
      const cut = slashLast(bytes, pathStart, pathEnd);
      const parent = cut < 0 ? 0 : tree.findLive(bytes, pathStart, cut);
      if (parent !== 0) tree.touchParent(parent, zxid);
      return;
    }
    if (row === rootRow) return;
    this.#delete(row, bytes, pathStart, pathEnd, zxid);
  }

  /**
   * What is below a znode goes before it. No leader deletes a znode that has children; but where a
   * snapshot shows a znode of a later time than the txn, it has those that come to it later.
   */
  #deleteBelow(top: number, zxid: number): void {
    const tree = this.#tree;
    let row = top;
    while (true) {
      const child = tree.int(row, I.childFirst);
      if (child !== 0) row = child;
      else if (row === top) return;
      else {
        const parent = tree.int(row, I.parent);
        const path = bytesOf(tree.pathOf(row));
        this.#delete(row, path, 0, path.length, zxid);
        row = parent;
      }
    }
  }

  #delete(row: number, bytes: Uint8Array, pathStart: number, pathEnd: number, zxid: number): void {
    const tree = this.#tree;
    if (tree.int(row, I.childFirst) !== 0) this.#deleteBelow(row, zxid);
    const parent = tree.int(row, I.parent);
    // The events go to those who could read the znode while it was there.
    const acl = tree.acls.hold(tree.int(row, I.acl));
    const length = Math.max(0, tree.int(row, I.dataLength));
    const reserved = this.#overlay.pendingOf(row) !== null;
    tree.delete(row, pathEnd - pathStart, zxid);
    if (reserved) this.#overlay.settle(row, zxid);
    this.#overlay.settle(parent, zxid);
    this.#quotas.applied(bytes, pathStart, pathEnd, -1, -length);
    this.#quotas.deleted(bytes, pathStart, pathEnd);
    this.#told++;
    this.#fire(this.#data, EventType.NodeDeleted, bytes, pathStart, pathEnd, acl);
    // Not told twice of one deletion, as the stamp is the same.
    this.#fire(this.#child, EventType.NodeDeleted, bytes, pathStart, pathEnd, acl);
    tree.acls.drop(acl);
    this.#fireParent(bytes, pathStart, pathEnd, parent);
  }

  dataSet(
    bytes: Uint8Array,
    pathStart: number,
    pathEnd: number,
    dataStart: number,
    dataEnd: number,
    version: number,
    zxid: number,
    timeMs: number,
  ): void {
    const tree = this.#tree;
    const row = tree.findLive(bytes, pathStart, pathEnd);
    if (row === 0) return;
    const length = Math.max(0, tree.int(row, I.dataLength));
    const pending = this.#overlay.pendingOf(row);
    // Where the proposal is the newest for this znode its digest was computed already.
    const digest = pending !== null && pending.zxid === zxid && pending.exists && tree.isDigested(row)
      ? pending.digest
      : -1;
    tree.setData(
      row,
      bytes,
      dataStart,
      dataEnd,
      version,
      zxid,
      timeMs,
      digest,
      pending === null ? 0 : pending.crcData,
    );
    if (pending !== null) this.#overlay.settle(row, zxid);
    this.#quotas.applied(bytes, pathStart, pathEnd, 0, (dataStart < 0 ? 0 : dataEnd - dataStart) - length);
    this.#quotas.written(bytes, pathStart, pathEnd);
    this.#told++;
    this.#fire(this.#data, EventType.NodeDataChanged, bytes, pathStart, pathEnd, tree.int(row, I.acl));
    if (this.#reply !== null) this.#writeStat(this.#reply, row);
  }

  aclSet(
    bytes: Uint8Array,
    pathStart: number,
    pathEnd: number,
    aclsStart: number,
    aclsEnd: number,
    version: number,
    zxid: number,
  ): void {
    const row = this.#tree.findLive(bytes, pathStart, pathEnd);
    if (row === 0) return;
    this.#tree.setAcl(row, bytes, aclsStart, aclsEnd, version);
    this.#overlay.settle(row, zxid);
    if (this.#reply !== null) this.#writeStat(this.#reply, row);
  }

  sessionCreated(hi: number, lo: number, timeoutMs: number): void {
    this.#sessions.open(sessionIdOf(hi, lo), timeoutMs);
  }

  sessionClosed(hi: number, lo: number): void {
    this.sessionClosedLast = sessionIdOf(hi, lo);
  }

  /** After a closeSession: what the txn did not list (old records) goes too, and the session itself. */
  finishSessionClose(hi: number, lo: number, zxid: number): void {
    const id = sessionIdOf(hi, lo);
    for (const row of [...this.#tree.ephemeralRows(id)]) {
      const path = new Writer(64);
      path.string(this.#tree.pathOf(row));
      this.#delete(row, path.bytes, 4, path.length, zxid);
    }
    this.#sessions.close(id);
  }

  #writeStat(out: Writer, row: number): void {
    if (row === 0) return;
    this.#tree.readStat(row, stat);
    writeStatOf(out, stat, this.#tree.int(row, I.dataLength), this.#tree.int(row, I.children));
  }

  // ----------------------------------------------------------------------------------- watches

  #fireParent(bytes: Uint8Array, pathStart: number, pathEnd: number, parent: number): void {
    if (this.#child.size === 0) return;
    const cut = slashLast(bytes, pathStart, pathEnd);
    const acl = this.#tree.int(parent, I.acl);
    // A child watch on the parent is another promise than one on the znode itself.
    this.#told++;
    if (cut === pathStart) this.#fire(this.#child, EventType.NodeChildrenChanged, slashBytes, 0, 1, acl);
    else this.#fire(this.#child, EventType.NodeChildrenChanged, bytes, pathStart, cut, acl);
  }

  #fire(
    table: WatchTable,
    type: EventType,
    bytes: Uint8Array,
    start: number,
    end: number,
    acl: number,
  ): void {
    if (table.size === 0) return;
    table.fire(bytes, start, end);
    const count = table.hitCount;
    if (count === 0) return;
    const event = this.#event;
    event.clear();
    writeEvent(event, this.#zxid, type, bytes, start, end);
    const list = acl === aclIdOpen || this.#skipAcl ? null : this.#tree.acls.list(acl);
    const isShared = count > 1 && count * event.length >= sharedBytesMin;
    const shared = isShared ? new Piece(event.copy()) : null;
    for (let i = 0; i < count; i++) {
      const number = table.hits[i] as number;
      const listener = this.#listeners.listener(number);
      // Its line is over, perhaps because of this very event.
      if (listener === null || listener.toldAt === this.#told) continue;
      listener.toldAt = this.#told;
      if (list !== null && !aclAllows(list, Perm.Read, listener.identities)) continue;
      this.#count(type);
      this.#listeners.hear(number, event, shared);
    }
  }

  #count(type: EventType): void {
    if (type === EventType.NodeCreated) this.events.created++;
    else if (type === EventType.NodeDeleted) this.events.deleted++;
    else if (type === EventType.NodeDataChanged) this.events.dataChanged++;
    else this.events.childrenChanged++;
  }
}

/** A whole event frame. The header carries the zxid of the change, as from 3.9; -1 for what setWatches catches up. */
export function writeEvent(
  out: Writer,
  zxid: number,
  type: EventType,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const length = end - start;
  out.i32(16 + 12 + length);
  out.i32(-1);
  out.i64FromNumber(zxid);
  out.i32(0);
  out.i32(type);
  out.i32(eventStateSyncConnected);
  out.i32(length);
  out.rawRange(bytes, start, end);
}
