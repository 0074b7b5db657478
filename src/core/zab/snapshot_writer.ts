/**
 * Snapshot writer: the tree and the sessions as the stream that follows a SNAP packet, a piece at a
 * time (quorum-protocol 4.6).
 *
 * No copy of the tree is made. It goes on changing between two pieces, and the stream shows each
 * znode as it is when its turn comes. That is allowed because every txn behind the zxid at which the
 * walk began is sent again afterwards: what the stream shows too early is told once more, and what it
 * misses is told then. Two things would not come right by that, so:
 * - a znode made after the beginning is left out, with all below it. Its create is sent again, and
 *   a create of what is there already would not set its ACL.
 * - a znode whose ACL list came after the beginning can't refer to it, for the lists go first. It is
 *   shown closed to everybody; the setACL that gave it the list is sent again.
 *
 * Always true: the cursor is a live row that was not yet written, or 0; `#prefix` is the path of its
 * parent. A row that leaves the tree tells so first (`leaving`), and the cursor steps past it. New
 * children go to the front of their list, behind the cursor; so none is met twice, and it ends.
 */
import { assert } from "../base/assert.ts";
import type { SessionTable } from "../session/table.ts";
import { Writer } from "../wire/writer.ts";
import { aclIdOpen, encodeAcls } from "../tree/acl.ts";
import { statBlank } from "../tree/stat.ts";
import { F, I, rootRow, type Tree, type TreeWalk } from "../tree/tree.ts";

/** The last string of the stream. */
export const snapshotSignature = "BenWasHere";
/** One entry that lets nobody do anything. An empty list would let in everybody. */
export const aclClosedBytes: Uint8Array<ArrayBuffer> = encodeAcls([
  { perms: 0, id: { scheme: "world", id: "anyone" } },
]);

const slash = 0x2f;
const stat = statBlank();

type Stage = "sessionCount" | "sessions" | "aclCount" | "acls" | "nodes" | "end" | "done";

export class SnapshotWriter implements TreeWalk {
  readonly #tree: Tree;
  readonly #zxid: number;
  /** Triples: high half, low half, timeout. */
  readonly #sessions: Int32Array;
  /** Held while the walk lasts, so that none of the numbers is given to another list. */
  readonly #acls: readonly number[];
  readonly #aclClosed: number;
  readonly #isListed: Uint8Array;
  readonly #prefix = new Writer(64);
  #stage: Stage = "sessionCount";
  #at = 0;
  #cursor: number = rootRow;
  #closed = false;
  nodes = 0;

  /** `zxid`: the last txn applied to the tree, which is what the SNAP packet has to say. */
  constructor(tree: Tree, sessions: SessionTable, zxid: number) {
    this.#tree = tree;
    this.#zxid = zxid;
    this.#sessions = new Int32Array(3 * sessions.size);
    let at = 0;
    for (const session of sessions.all()) {
      this.#sessions[at++] = session.hi;
      this.#sessions[at++] = session.lo;
      this.#sessions[at++] = session.timeoutMs;
    }
    this.#acls = tree.acls.ids();
    this.#aclClosed = (this.#acls[this.#acls.length - 1] ?? 0) + 1;
    this.#isListed = new Uint8Array(this.#aclClosed);
    for (const id of this.#acls) this.#isListed[tree.acls.hold(id)] = 1;
    tree.walks.push(this);
  }

  /** Appends about `bytesMax` more bytes, one record more at most. True: that was the end. */
  fill(out: Writer, bytesMax: number): boolean {
    assert(this.#stage === "done" || !this.#closed, "a snapshot that was given up is not written on");
    const until = out.length + bytesMax;
    while (this.#stage !== "done" && out.length < until) this.#step(out);
    return this.#stage === "done";
  }

  /** Lets go of the tree, at the end or before. Done by itself at the end; twice is once. */
  close(): void {
    if (this.#closed) return;
    for (const id of this.#acls) this.#tree.acls.drop(id);
    const at = this.#tree.walks.indexOf(this);
    assert(at >= 0, "an open walk is known to its tree");
    this.#tree.walks.splice(at, 1);
    this.cut();
  }

  cut(): void {
    this.#closed = true;
    this.#cursor = 0;
  }

  leaving(row: number): void {
    if (row === this.#cursor) this.#pass(row);
  }

  #step(out: Writer): void {
    switch (this.#stage) {
      case "sessionCount":
        out.i32(this.#sessions.length / 3);
        this.#stage = "sessions";
        break;
      case "sessions":
        if (this.#at === this.#sessions.length) {
          this.#at = 0;
          this.#stage = "aclCount";
        } else out.i32(this.#sessions[this.#at++] as number);
        break;
      case "aclCount":
        out.i32(this.#acls.length + 1);
        out.i64FromNumber(this.#aclClosed);
        out.raw(aclClosedBytes);
        this.#stage = "acls";
        break;
      case "acls":
        if (this.#at === this.#acls.length) this.#stage = "nodes";
        else {
          const id = this.#acls[this.#at++] as number;
          out.i64FromNumber(id);
          out.raw(this.#tree.acls.bytes(id));
        }
        break;
      case "nodes":
        if (this.#cursor === 0) this.#stage = "end";
        else this.#visit(out, this.#cursor);
        break;
      case "end":
        out.string("/");
        out.string(snapshotSignature);
        this.#stage = "done";
        this.close();
        break;
      case "done":
        break;
    }
  }

  #visit(out: Writer, row: number): void {
    if (this.#tree.double(row, F.czxid) > this.#zxid) return this.#pass(row);
    this.#write(out, row);
    this.nodes++;
    const first = this.#tree.int(row, I.childFirst);
    if (first === 0) return this.#pass(row);
    if (row !== rootRow) this.#putName(this.#prefix, row);
    this.#cursor = first;
  }

  /** The cursor goes on behind a row and all below it. */
  #pass(row: number): void {
    const tree = this.#tree;
    let at = row;
    while (at !== rootRow) {
      const next = tree.int(at, I.siblingNext);
      if (next !== 0) {
        this.#cursor = next;
        return;
      }
      at = tree.int(at, I.parent);
      if (at !== rootRow) this.#prefix.length -= 1 + tree.int(at, I.nameLength);
    }
    this.#cursor = 0;
  }

  #putName(out: Writer, row: number): void {
    const { slab } = this.#tree;
    const ref = this.#tree.int(row, I.name);
    const at = slab.offset(ref);
    out.u8(slash);
    out.rawRange(slab.page(ref), at, at + this.#tree.int(row, I.nameLength));
  }

  #write(out: Writer, row: number): void {
    const tree = this.#tree;
    if (row === rootRow) out.i32(0);
    else {
      out.i32(this.#prefix.length + 1 + tree.int(row, I.nameLength));
      out.rawRange(this.#prefix.bytes, 0, this.#prefix.length);
      this.#putName(out, row);
    }
    const length = tree.int(row, I.dataLength);
    out.i32(length);
    if (length > 0) {
      const ref = tree.int(row, I.data);
      const at = tree.slab.offset(ref);
      out.rawRange(tree.slab.page(ref), at, at + length);
    }
    const acl = tree.int(row, I.acl);
    if (acl === aclIdOpen) out.i64Halves(-1, -1);
    else out.i64FromNumber(this.#isListed[acl] === 1 ? acl : this.#aclClosed);
    tree.readStat(row, stat);
    out.i64FromNumber(stat.czxid);
    out.i64FromNumber(stat.mzxid);
    out.i64FromNumber(stat.ctime);
    out.i64FromNumber(stat.mtime);
    out.i32(stat.version);
    out.i32(stat.cversion);
    out.i32(stat.aversion);
    out.i64Halves(stat.ownerHi, stat.ownerLo);
    out.i64FromNumber(stat.pzxid);
  }
}
