/**
 * Overlay: the tree as it will be once all proposals commit.
 *
 * The leader judges each request against this. For every row that a proposal in flight touches there
 * is one Pending: the stat, owner, ACL and number of children after the newest of them. A row keeps
 * its Pending until the txn that last changed it is applied (`settle`). A znode that is only
 * proposed has a reserved row in the tree, so both are found by the same lookup.
 *
 * A multi that fails is undone: `begin` starts a record of what is overwritten, `undo` puts it back.
 * `digest` is the tree digest after all proposals, as each txn has to carry it.
 *
 * Always true: when nothing is in flight the overlay is empty and its digest is the tree's.
 */
import { assert, must } from "../base/assert.ts";
import { crcEnd, crcUpdate } from "../base/crc32.ts";
import { crcStat, DigestSum, type StatStored } from "./stat.ts";
import { I, type Tree } from "./tree.ts";

export class Pending implements StatStored {
  row = 0;
  /** The last proposal that changed it. */
  zxid = 0;
  exists = false;
  czxid = 0;
  mzxid = 0;
  pzxid = 0;
  ctime = 0;
  mtime = 0;
  version = 0;
  cversion = 0;
  aversion = 0;
  ownerHi = 0;
  ownerLo = 0;
  children = 0;
  /** Held in the ACL table as long as this Pending is attached. */
  acl = 0;
  /** -1 is null. */
  dataLength = -1;
  crcData = 0;
  digest = 0;

  copyFrom(other: Pending): void {
    this.row = other.row;
    this.zxid = other.zxid;
    this.exists = other.exists;
    this.czxid = other.czxid;
    this.mzxid = other.mzxid;
    this.pzxid = other.pzxid;
    this.ctime = other.ctime;
    this.mtime = other.mtime;
    this.version = other.version;
    this.cversion = other.cversion;
    this.aversion = other.aversion;
    this.ownerHi = other.ownerHi;
    this.ownerLo = other.ownerLo;
    this.children = other.children;
    this.acl = other.acl;
    this.dataLength = other.dataLength;
    this.crcData = other.crcData;
    this.digest = other.digest;
  }
}

interface Undo {
  readonly row: number;
  /** Null: there was no Pending before. */
  readonly before: Pending | null;
}

export class Overlay {
  readonly digest = new DigestSum();
  readonly #tree: Tree;
  readonly #slots: (Pending | null)[] = [];
  readonly #slotsFree: number[] = [];
  readonly #pool: Pending[] = [];
  #size = 0;
  #undo: Undo[] | null = null;
  readonly #undoDigest = new DigestSum();

  constructor(tree: Tree) {
    this.#tree = tree;
    this.digest.set(tree.digest);
  }

  get size(): number {
    return this.#size;
  }

  /** What is pending for a row, or null. */
  pendingOf(row: number): Pending | null {
    const slot = this.#tree.int(row, I.pending);
    return slot === 0 ? null : (this.#slots[slot - 1] ?? null);
  }

  /** The row as it will be: its Pending, or `scratch` filled from the tree. Not to be changed. */
  look(row: number, scratch: Pending): Pending {
    return this.pendingOf(row) ?? this.#fill(row, scratch);
  }

  #fill(row: number, into: Pending): Pending {
    const tree = this.#tree;
    tree.readStat(row, into);
    into.row = row;
    into.zxid = 0;
    into.exists = tree.isLive(row);
    into.children = tree.int(row, I.children);
    into.acl = tree.int(row, I.acl);
    into.dataLength = tree.int(row, I.dataLength);
    into.crcData = tree.int(row, I.crcData);
    into.digest = tree.int(row, I.digest);
    return into;
  }

  /** The Pending of a row, to be changed by proposal `zxid`; `sign` it afterwards. */
  edit(row: number, zxid: number): Pending {
    const slotOld = this.#tree.int(row, I.pending);
    if (slotOld !== 0) {
      const pending = must(this.#slots[slotOld - 1], "a slot in use holds a Pending");
      if (this.#undo !== null) {
        const before = this.#pool.pop() ?? new Pending();
        before.copyFrom(pending);
        this.#tree.acls.hold(before.acl);
        this.#undo.push({ row, before });
      }
      pending.zxid = zxid;
      return pending;
    }
    const pending = this.#fill(row, this.#pool.pop() ?? new Pending());
    pending.zxid = zxid;
    this.#tree.acls.hold(pending.acl);
    this.#undo?.push({ row, before: null });
    const slot = this.#slotsFree.pop() ?? this.#slots.length;
    this.#slots[slot] = pending;
    this.#tree.setInt(row, I.pending, slot + 1);
    this.#size++;
    return pending;
  }

  /** Gives a Pending another ACL; the caller's use of `acl` passes to it. */
  setAcl(pending: Pending, acl: number): void {
    this.#tree.acls.drop(pending.acl);
    pending.acl = acl;
  }

  setData(pending: Pending, bytes: Uint8Array, start: number, end: number): void {
    pending.dataLength = start < 0 ? -1 : end - start;
    if (!this.#tree.isDigested(pending.row)) return;
    const crcPath = this.#tree.int(pending.row, I.crcPath);
    pending.crcData = start < 0 ? crcPath : crcUpdate(crcPath, bytes, start, end);
  }

  /** Brings the digest up to date after a Pending was changed. */
  sign(pending: Pending): void {
    if (!this.#tree.isDigested(pending.row)) return;
    this.digest.subtract(pending.digest);
    pending.digest = pending.exists ? crcEnd(crcStat(pending.crcData, pending)) : 0;
    this.digest.add(pending.digest);
  }

  /** The txn `zxid` was applied to this row: what it left pending is now in the tree. */
  settle(row: number, zxid: number): void {
    const slot = this.#tree.int(row, I.pending);
    if (slot === 0) return;
    const pending = must(this.#slots[slot - 1], "a slot in use holds a Pending");
    if (pending.zxid <= zxid) this.#detach(row, slot - 1, pending);
  }

  #detach(row: number, slot: number, pending: Pending): void {
    this.#tree.acls.drop(pending.acl);
    this.#tree.setInt(row, I.pending, 0);
    this.#slots[slot] = null;
    this.#slotsFree.push(slot);
    this.#recycle(pending);
    this.#size--;
    this.#tree.releaseIfUnused(row);
  }

  #recycle(pending: Pending): void {
    if (this.#pool.length < 4096) this.#pool.push(pending);
  }

  /** From here on changes can be undone. */
  begin(): void {
    assert(this.#undo === null, "one multi at a time");
    this.#undo = [];
    this.#undoDigest.set(this.digest);
  }

  /** The changes since `begin` stay. */
  keep(): void {
    for (const { before } of must(this.#undo, "a multi was begun")) {
      if (before === null) continue;
      this.#tree.acls.drop(before.acl);
      this.#recycle(before);
    }
    this.#undo = null;
  }

  /** The changes since `begin` never were. */
  undo(): void {
    const list = must(this.#undo, "a multi was begun");
    this.#undo = null;
    for (let i = list.length - 1; i >= 0; i--) {
      const { row, before } = must(list[i], "the record is dense");
      const slot = this.#tree.int(row, I.pending) - 1;
      const pending = must(this.#slots[slot], "what was changed is still pending");
      if (before === null) this.#detach(row, slot, pending);
      else {
        this.#tree.acls.drop(pending.acl);
        pending.copyFrom(before);
        this.#recycle(before);
      }
    }
    this.digest.set(this.#undoDigest);
  }

  /** Every Pending, newest rows last; for the rare request that has to look at all. */
  *all(): Generator<Pending> {
    for (const pending of this.#slots) if (pending !== null) yield pending;
  }

  /** Nothing is in flight any more: what is pending will never be. Children go before their parents. */
  drop(): void {
    assert(this.#undo === null, "no multi is being judged");
    let left = this.#size;
    while (left > 0) {
      for (let slot = this.#slots.length - 1; slot >= 0; slot--) {
        const pending = this.#slots[slot];
        if (pending !== null && pending !== undefined) this.#detach(pending.row, slot, pending);
      }
      assert(this.#size < left, "dropping makes progress");
      left = this.#size;
    }
    this.digest.set(this.#tree.digest);
  }
}
