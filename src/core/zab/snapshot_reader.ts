/**
 * Snapshot reader: the stream that follows a SNAP packet becomes tree, sessions and rows for the disk
 * (quorum-protocol 4.6).
 *
 * Bytes come cut anywhere. A record that is whole is read where it lies; what is left of one is kept
 * until the rest comes, and no more than that: nothing is made by a count or a length that was only
 * claimed. The peer on the other side may lie; then the state is `damaged`, `reason` says what was
 * found, and tree and sessions are worth nothing.
 *
 * A znode made after the SNAP packet's zxid is left out: its create is sent again behind the stream.
 * So all that is read was there at that zxid, and applying the txns behind it meets neither a znode
 * that it should make nor one to delete that still has children.
 */
import { bytesEqual, bytesOf, textOf } from "../base/bytes.ts";
import { sessionIdOf } from "../base/zxid.ts";
import type { SessionTable } from "../session/table.ts";
import { Reader } from "../wire/reader.ts";
import { Writer } from "../wire/writer.ts";
import { aclOpenBytes } from "../tree/acl.ts";
import { pathIsValid } from "../tree/path.ts";
import { aclClosedBytes, snapshotSignature } from "./snapshot_writer.ts";
import type { Tree } from "../tree/tree.ts";

/** Packed rows that may wait to be taken; then no more is read. */
const rowsBytesPause = 1 << 20;
const statPersistedBytes = 60;
const slash = 0x2f;
const rootPath = bytesOf("/");
const noAcls = new Uint8Array(0);

/** A Map holds no more entries than this, and sessions and ACL lists are kept in Maps. */
const entriesMax = (1 << 24) - 1;

type Stage = "sessionCount" | "sessions" | "aclCount" | "acl" | "aclEntry" | "nodes" | "signature" | "over";

export class SnapshotReader {
  state: "more" | "done" | "damaged" = "more";
  /** What was found, where the state is `damaged`; the end of a sentence. */
  reason = "";
  nodes = 0;
  /** Znodes made after the SNAP packet's zxid, which were left out. */
  nodesLater = 0;
  /** Znodes whose ACL list is not in the stream; they are closed until their setACL is sent again. */
  nodesClosed = 0;

  readonly #tree: Tree;
  readonly #table: SessionTable;
  readonly #zxid: number;
  readonly #fieldBytesMax: number;
  #stage: Stage = "sessionCount";
  /** Sessions, lists or entries of a list that are still to come. */
  #left = 0;
  #listsLeft = 0;
  /** The start of a record that is not whole. */
  readonly #part = new Writer();
  readonly #reader = new Reader();
  #sessions = new Int32Array(48);
  #sessionsAt = 0;
  #sessionsTaken = false;
  /** By id; null is the open list. */
  readonly #acls = new Map<number, Uint8Array | null>();
  #aclId = 0;
  readonly #acl = new Writer();
  #rows = new Writer();

  /** Tree and sessions are empty: cleared. `zxid` is the SNAP packet's. */
  constructor(
    tree: Tree,
    sessions: SessionTable,
    options: { readonly zxid: number; readonly fieldBytesMax: number },
  ) {
    this.#tree = tree;
    this.#table = sessions;
    this.#zxid = options.zxid;
    this.#fieldBytesMax = options.fieldBytesMax;
  }

  /**
   * Reads on, and returns how many bytes were used. While the state is `more`, fewer than were given
   * means that rows wait: take them (`takeRows`) and push the rest. Once `done`, what was not used
   * belongs to the packets behind the stream.
   */
  push(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (this.state === "more" && at < end && this.#rows.length < rowsBytesPause) {
      const part = this.#part;
      if (part.length === 0) {
        const need = this.#need(bytes, at, end - at);
        if (need <= end - at) {
          if (need > 0) this.#record(bytes, at, need);
          at += need;
        } else {
          part.rawRange(bytes, at, end);
          at = end;
        }
        continue;
      }
      const need = this.#need(part.bytes, 0, part.length);
      const more = Math.min(need - part.length, end - at);
      part.rawRange(bytes, at, at + Math.max(0, more));
      at += Math.max(0, more);
      if (this.#need(part.bytes, 0, part.length) !== part.length) continue;
      this.#record(part.bytes, 0, part.length);
      part.clear();
    }
    return at - start;
  }

  /**
   * The rows read so far, packed as in `RecoverySink.rows`, once there are `bytesMin` of them (or as
   * many as may wait); null before that. At the end ask with 1.
   */
  takeRows(bytesMin: number): Uint8Array<ArrayBuffer> | null {
    const { length } = this.#rows;
    if (length === 0 || length < Math.min(bytesMin, rowsBytesPause)) return null;
    const taken = this.#rows.copy();
    // A new one: the tree remembers where in the old it found the last parent.
    this.#rows = new Writer(this.state === "more" ? rowsBytesPause + (rowsBytesPause >> 2) : 0);
    return taken;
  }

  /** All sessions as triples of high half, low half and timeout, once they are known; after that null. */
  takeSessions(): Int32Array<ArrayBuffer> | null {
    if (this.#sessionsTaken || this.#stage === "sessionCount" || this.#stage === "sessions") return null;
    this.#sessionsTaken = true;
    const taken = this.#sessions.slice(0, this.#sessionsAt);
    this.#sessions = new Int32Array(0);
    return taken;
  }

  #damaged(reason: string): 0 {
    this.state = "damaged";
    this.reason = reason;
    this.#part.clear();
    return 0;
  }

  // ------------------------------------------------------------------------------------ measuring

  /**
   * How many bytes from `at` on the next record has; more than `have` where so many are needed to tell,
   * or to read it. 0: it is damaged.
   */
  #need(bytes: Uint8Array, at: number, have: number): number {
    switch (this.#stage) {
      case "sessionCount":
      case "aclCount":
        return 4;
      case "sessions":
      case "acl":
        return 12;
      case "aclEntry":
        return this.#needAclEntry(bytes, at, have);
      case "nodes":
        return this.#needNode(bytes, at, have);
      case "signature":
        return 4 + snapshotSignature.length;
      case "over":
        return 0;
    }
  }

  #needAclEntry(bytes: Uint8Array, at: number, have: number): number {
    if (have < 8) return 8;
    const scheme = i32At(bytes, at + 4);
    if (!this.#fits(scheme)) return this.#damaged(`an ACL's scheme has a length of ${scheme}`);
    const idAt = 8 + Math.max(0, scheme);
    if (have < idAt + 4) return idAt + 4;
    const id = i32At(bytes, at + idAt);
    if (!this.#fits(id)) return this.#damaged(`an ACL's id has a length of ${id}`);
    return idAt + 4 + Math.max(0, id);
  }

  #needNode(bytes: Uint8Array, at: number, have: number): number {
    if (have < 4) return 4;
    const path = i32At(bytes, at);
    if (path < 0 || !this.#fits(path)) {
      return this.#damaged(`a path has a length of ${path} ${this.#behind()}`);
    }
    if (path === 1) {
      if (have < 5 || bytes[at + 4] === slash) return 5;
      return this.#damaged(`a path is "${textOf(bytes, at + 4, at + 5)}" ${this.#behind()}`);
    }
    const dataAt = 4 + path;
    if (have < dataAt + 4) return dataAt + 4;
    const data = i32At(bytes, at + dataAt);
    if (!this.#fits(data)) return this.#damaged(`data has a length of ${data} ${this.#behind()}`);
    return dataAt + 4 + Math.max(0, data) + 8 + statPersistedBytes;
  }

  #fits(length: number): boolean {
    return length >= -1 && length <= this.#fieldBytesMax;
  }

  #behind(): string {
    return `behind ${this.nodes} znodes`;
  }

  // -------------------------------------------------------------------------------------- reading

  /** One whole record. */
  #record(bytes: Uint8Array, start: number, length: number): void {
    const r = this.#reader;
    r.reset(bytes, start, start + length);
    switch (this.#stage) {
      case "sessionCount": {
        const count = r.i32();
        if (count < 0 || count > entriesMax) this.#damaged(`it claims ${count} sessions`);
        this.#left = count;
        this.#stage = count === 0 ? "aclCount" : "sessions";
        break;
      }
      case "sessions":
        this.#session(r.i32(), r.i32(), r.i32());
        if (--this.#left === 0) this.#stage = "aclCount";
        break;
      case "aclCount":
        this.#listsLeft = r.i32();
        if (this.#listsLeft < 0 || this.#listsLeft > entriesMax) {
          this.#damaged(`it claims ${this.#listsLeft} ACL lists`);
        }
        this.#stage = this.#listsLeft === 0 ? "nodes" : "acl";
        break;
      case "acl":
        this.#aclBegins(r.i64AsNumber(), r.i32());
        break;
      case "aclEntry":
        this.#acl.rawRange(bytes, start, start + length);
        if (this.#acl.length > this.#fieldBytesMax) {
          this.#damaged(`ACL list ${this.#aclId} has more than ${this.#fieldBytesMax} bytes`);
        }
        if (--this.#left === 0) this.#aclEnds();
        break;
      case "nodes":
        if (length === 5) this.#nodesEnd();
        else this.#node(r);
        break;
      case "signature":
        this.#signature(r);
        break;
      case "over":
        break;
    }
  }

  #session(hi: number, lo: number, timeoutMs: number): void {
    if (this.#sessionsAt === this.#sessions.length) {
      const grown = new Int32Array(2 * this.#sessions.length);
      grown.set(this.#sessions);
      this.#sessions = grown;
    }
    this.#sessions[this.#sessionsAt++] = hi;
    this.#sessions[this.#sessionsAt++] = lo;
    this.#sessions[this.#sessionsAt++] = timeoutMs;
    this.#table.open(sessionIdOf(hi, lo), timeoutMs);
  }

  #aclBegins(id: number, count: number): void {
    if (count < -1) return void this.#damaged(`ACL list ${id} claims ${count} entries`);
    if (this.#acls.has(id)) return void this.#damaged(`ACL list ${id} is there twice`);
    this.#aclId = id;
    this.#left = Math.max(0, count);
    this.#acl.clear();
    this.#acl.i32(count);
    if (count > 0) this.#stage = "aclEntry";
    else this.#aclEnds();
  }

  #aclEnds(): void {
    const list = this.#acl.copy();
    // The tree knows an empty list as the open one too: both let in everybody.
    this.#acls.set(this.#aclId, list.length <= 4 || bytesEqual(list, aclOpenBytes) ? null : list);
    this.#stage = --this.#listsLeft === 0 ? "nodes" : "acl";
  }

  #node(r: Reader): void {
    const pathLength = r.span();
    const pathEnd = r.at;
    const pathStart = pathEnd - pathLength;
    const isRoot = pathLength === 0;
    if (isRoot !== (this.nodes === 0)) {
      this.#damaged(isRoot ? `a second root ${this.#behind()}` : "it does not begin with the root");
      return;
    }
    if (!isRoot && !pathIsValid(r.bytes, pathStart, pathEnd)) {
      return void this.#damaged(
        `a path that is none ${this.#behind()}: ${this.#shown(r, pathStart, pathEnd)}`,
      );
    }
    const dataLength = r.span();
    const dataEnd = r.at;
    const aclId = r.i64AsNumber();
    const statAt = r.at;
    const czxid = r.i64AsNumber();
    const mzxid = r.i64AsNumber();
    const ctime = r.i64AsNumber();
    const mtime = r.i64AsNumber();
    const version = r.i32();
    const cversion = r.i32();
    const aversion = r.i32();
    const ownerHi = r.i32();
    const ownerLo = r.i32();
    const pzxid = r.i64AsNumber();
    if (!isExact(czxid) || !isExact(mzxid) || !isExact(ctime) || !isExact(mtime) || !isExact(pzxid)) {
      this.#damaged(`a zxid or time beyond 2^53 at ${this.#shown(r, pathStart, pathEnd)}`);
      return;
    }
    if (czxid > this.#zxid && !isRoot) {
      this.nodesLater++;
      return;
    }
    let acls = aclId === -1 ? null : this.#acls.get(aclId);
    if (acls === undefined) {
      // The original writes its lists first and may meet a newer one afterwards; the setACL that
      // gave it is sent again. Until then nobody gets in, as nobody can say who may.
      acls = aclClosedBytes;
      this.nodesClosed++;
    }
    const rows = this.#rows;
    const rowAt = rows.length;
    if (isRoot) rows.buffer(rootPath);
    else {
      if (this.#tree.find(r.bytes, pathStart, pathEnd) !== 0) {
        return void this.#damaged(`${this.#shown(r, pathStart, pathEnd)} is there twice`);
      }
      rows.i32(pathLength);
      rows.rawRange(r.bytes, pathStart, pathEnd);
    }
    const packedPathEnd = rows.length;
    rows.i32(dataLength);
    if (dataLength > 0) rows.rawRange(r.bytes, dataEnd - dataLength, dataEnd);
    const packedDataEnd = rows.length;
    rows.rawRange(r.bytes, statAt, statAt + statPersistedBytes);
    rows.buffer(acls ?? noAcls);
    // Told from the packed row, which stays where it is; the tree looks back at the last one's path.
    const loaded = this.#tree.load(
      rows.bytes,
      rowAt + 4,
      packedPathEnd,
      dataLength < 0 ? -1 : packedDataEnd - dataLength,
      packedDataEnd,
      czxid,
      mzxid,
      pzxid,
      ctime,
      mtime,
      version,
      cversion,
      aversion,
      ownerHi,
      ownerLo,
      acls,
    );
    if (!loaded) {
      return void this.#damaged(`the parent of ${this.#shown(r, pathStart, pathEnd)} is not before it`);
    }
    this.nodes++;
  }

  /** A path for a message, cut where it is long. */
  #shown(r: Reader, start: number, end: number): string {
    const cut = Math.min(end, start + 200);
    return JSON.stringify(textOf(r.bytes, start, cut)) + (cut < end ? "…" : "");
  }

  #nodesEnd(): void {
    this.#tree.endLoad();
    if (this.nodes === 0) this.#damaged("it holds no znode, not even the root");
    this.#stage = "signature";
  }

  #signature(r: Reader): void {
    const at = r.at;
    if (r.string() !== snapshotSignature) {
      return void this.#damaged(
        `the signature behind ${this.nodes} znodes is ${JSON.stringify(textOf(r.bytes, at, r.end))} and not ${
          JSON.stringify(snapshotSignature)
        }`,
      );
    }
    this.#stage = "over";
    this.state = "done";
  }
}

function isExact(value: number): boolean {
  return value <= Number.MAX_SAFE_INTEGER && value >= -Number.MAX_SAFE_INTEGER;
}

function i32At(b: Uint8Array, at: number): number {
  return ((b[at] as number) << 24) | ((b[at + 1] as number) << 16) | ((b[at + 2] as number) << 8) |
    (b[at + 3] as number);
}
