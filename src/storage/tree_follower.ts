/**
 * Follower of the log: what committed txns do to the tree table.
 *
 * A chunk of the log is told to this visitor, which keeps one pending row per path, so that a znode
 * written a thousand times is written once. Then `flush` puts the rows into the table in one
 * transaction. The rules are those of the tree in memory (server-semantics 1.3, 10.8); a test holds
 * the two side by side.
 *
 * A create takes it on trust that its path is free, which saves a look-up for each: the leader
 * validated it. Where that is wrong, as in a replay over newer rows, the insert meets the unique
 * path, `flush` throws `PathTaken`, and the chunk is told again to a careful follower that looks.
 */
import { textOf } from "../core/base/bytes.ts";
import type { TxnVisitor } from "../core/wire/txns.ts";
import { SqliteError } from "../runtime/ports.ts";
import type { TreeFile, ZnodeStat } from "./tree_file.ts";

export class PathTaken extends Error {
  override readonly name = "PathTaken";
}

interface PendingRow extends ZnodeStat {
  /** The table may hold a row of this path. */
  inTable: boolean;
  /** Is it there after what was told so far? */
  present: boolean;
  /** Created since the chunk began. */
  fresh: boolean;
  changed: boolean;
  /** Undefined: as it is in the table. */
  data: Uint8Array | null | undefined;
  /** Undefined: as `acl` says. Interned when it is written, in the transaction. */
  acls: Uint8Array | undefined;
}

interface PendingSession {
  readonly hi: number;
  readonly lo: number;
  timeoutMs: number;
  present: boolean;
}

/** Rows written between two chances to pause: about 30 µs. */
const rowsPerPause = 8;

export class TreeFollower implements TxnVisitor {
  readonly #tree: TreeFile;
  readonly #careful: boolean;
  readonly #rows = new Map<string, PendingRow>();
  readonly #sessions = new Map<string, PendingSession>();
  /** Paths created in this chunk by owner; those of the table are asked of its index. */
  readonly #owned = new Map<string, Set<string>>();
  /** A create was told whose path was not free. */
  #taken: string | null = null;

  constructor(tree: TreeFile, careful: boolean) {
    this.#tree = tree;
    this.#careful = careful;
  }

  /** Rows that wait to be written. */
  get size(): number {
    return this.#rows.size + this.#sessions.size;
  }

  // ------------------------------------------------------------------------------ TxnVisitor

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
    const path = textOf(bytes, pathStart, pathEnd);
    const above = parentOf(path);
    const parent = above === null ? null : this.#look(above);
    if (parent === null || !parent.present) return;
    const next = parentCversion === -1 ? (parent.cversion + 1) | 0 : parentCversion;
    if (next > parent.cversion) {
      parent.cversion = next;
      parent.pzxid = zxid;
      parent.changed = true;
    }
    const before = this.#careful ? this.#look(path) : this.#rows.get(path);
    if (before?.present === true) return;
    const inTable = before?.inTable ?? false;
    // Taken out and put in again, it stands behind its parent, and rows are written in this order.
    this.#rows.delete(path);
    this.#rows.set(path, {
      inTable,
      present: true,
      fresh: true,
      changed: true,
      data: dataStart < 0 ? null : bytes.subarray(dataStart, dataEnd),
      acls: bytes.subarray(aclsStart, aclsEnd),
      czxid: zxid,
      mzxid: zxid,
      pzxid: zxid,
      ctime: timeMs,
      mtime: timeMs,
      version: 0,
      cversion: 0,
      aversion: 0,
      ownerHi,
      ownerLo,
      acl: 0,
    });
    if (ownerHi === 0 && ownerLo === 0) return;
    const owner = `${ownerHi}:${ownerLo}`;
    const paths = this.#owned.get(owner);
    if (paths === undefined) this.#owned.set(owner, new Set([path]));
    else paths.add(path);
  }

  deleted(bytes: Uint8Array, pathStart: number, pathEnd: number, zxid: number): void {
    this.#remove(textOf(bytes, pathStart, pathEnd), zxid);
  }

  #remove(path: string, zxid: number): void {
    const above = parentOf(path);
    if (above === null) return;
    const parent = this.#look(above);
    if (parent !== null && parent.present && zxid > parent.pzxid) {
      parent.pzxid = zxid;
      parent.changed = true;
    }
    const row = this.#look(path);
    if (row === null || !row.present) return;
    if (row.ownerHi !== 0 || row.ownerLo !== 0) {
      this.#owned.get(`${row.ownerHi}:${row.ownerLo}`)?.delete(path);
    }
    // A replay over newer rows may find children here that are yet to come; they will come again.
    if (row.cversion !== 0) {
      for (const below of this.#tree.below(path)) {
        const found = this.#look(below);
        if (found !== null && found.present) this.#remove(below, zxid);
      }
    }
    row.present = false;
    row.fresh = false;
    // A create that did not look may have been wrong; then the older row goes now.
    if (!this.#careful) row.inTable = true;
    row.data = undefined;
    row.acls = undefined;
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
    const row = this.#look(keyOf(textOf(bytes, pathStart, pathEnd)));
    if (row === null || !row.present) return;
    row.data = dataStart < 0 ? null : bytes.subarray(dataStart, dataEnd);
    row.version = version;
    row.mzxid = zxid;
    row.mtime = timeMs;
    row.changed = true;
  }

  aclSet(
    bytes: Uint8Array,
    pathStart: number,
    pathEnd: number,
    aclsStart: number,
    aclsEnd: number,
    version: number,
  ): void {
    const row = this.#look(keyOf(textOf(bytes, pathStart, pathEnd)));
    if (row === null || !row.present) return;
    row.acls = bytes.subarray(aclsStart, aclsEnd);
    row.aversion = version;
    row.changed = true;
  }

  sessionCreated(hi: number, lo: number, timeoutMs: number): void {
    this.#sessions.set(`${hi}:${lo}`, { hi, lo, timeoutMs, present: true });
  }

  sessionClosed(hi: number, lo: number, zxid: number): void {
    this.#sessions.set(`${hi}:${lo}`, { hi, lo, timeoutMs: 0, present: false });
    for (const path of this.#tree.ownedBy(hi, lo)) {
      const row = this.#look(path);
      // One that was deleted earlier in this chunk stays owned in the table until the chunk is written.
      const owned = row !== null && row.present && row.ownerHi === hi && row.ownerLo === lo;
      if (owned) this.#remove(path, zxid);
    }
    for (const path of [...(this.#owned.get(`${hi}:${lo}`) ?? [])]) {
      // Where the create was wrong, what is there may be of another owner and stays.
      const unseen = !this.#careful && this.#rows.get(path)?.inTable === false;
      if (unseen && this.#tree.find(path) !== null) this.#taken ??= path;
      this.#remove(path, zxid);
    }
  }

  /** The pending row of a path, read from the table where it is not pending yet; null where it is nowhere. */
  #look(path: string): PendingRow | null {
    const pending = this.#rows.get(path);
    if (pending !== undefined) return pending;
    const stored = this.#tree.find(path);
    if (stored === null) return null;
    const row: PendingRow = {
      ...stored,
      inTable: true,
      present: true,
      fresh: false,
      changed: false,
      data: undefined,
      acls: undefined,
    };
    this.#rows.set(path, row);
    return row;
  }

  // ----------------------------------------------------------------------------------- writing

  /** Writes what is pending into the open transaction, and pauses often. */
  *flush(): Generator<void, void, void> {
    if (this.#taken !== null) throw new PathTaken(this.#taken);
    const tree = this.#tree;
    let written = 0;
    for (const [path, row] of this.#rows) {
      if (!row.inTable || (row.present && !row.fresh)) continue;
      tree.delete(path);
      if (++written % rowsPerPause === 0) yield;
    }
    for (const [path, row] of this.#rows) {
      if (!row.present || !row.changed) continue;
      if (row.acls !== undefined) row.acl = tree.aclId(row.acls);
      if (row.fresh) this.#insert(path, row);
      else tree.update(path, row.data, row);
      if (++written % rowsPerPause === 0) yield;
    }
    for (const { hi, lo, timeoutMs, present } of this.#sessions.values()) {
      if (present) tree.putSession(hi, lo, timeoutMs);
      else tree.deleteSession(hi, lo);
      if (++written % rowsPerPause === 0) yield;
    }
  }

  #insert(path: string, row: PendingRow): void {
    try {
      this.#tree.insert(path, row.data ?? null, row);
    } catch (error) {
      if (error instanceof SqliteError && error.code === "SQLITE_CONSTRAINT") throw new PathTaken(path);
      throw error;
    }
  }
}

/** The empty path names the root too. */
function keyOf(path: string): string {
  return path === "" ? "/" : path;
}

/** Null for the root, and for what is no path. */
function parentOf(path: string): string | null {
  const at = path.lastIndexOf("/");
  if (at < 0 || at === path.length - 1) return null;
  return at === 0 ? "/" : path.slice(0, at);
}
