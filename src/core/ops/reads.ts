/**
 * Reads: answered from the committed tree, at once. server-semantics 4.
 *
 * Each writes its reply's body and returns 0, or returns an error code; the frame around it is the
 * caller's. Checks come in the original's order.
 */
import { trimBlanks } from "../base/blanks.ts";
import {
  ephemeralLooksMax,
  replyBytesMax,
  replyBytesPause,
  setWatchesBytesAtOnce,
  unsentBytesPause,
} from "../base/limits.ts";
import { aclAllows, aclIdOpen, aclMasked } from "../tree/acl.ts";
import { pathHasNul } from "../tree/path.ts";
import { statBlank, writeStatOf } from "../tree/stat.ts";
import { I, rootRow, type Tree } from "../tree/tree.ts";
import type { Session } from "../session/table.ts";
import { userOf } from "../session/auth.ts";
import { WatchMode, watchModesAll, type WatchTable, watchWeight } from "../watch/table.ts";
import { ErrorCode } from "../wire/errors.ts";
import { AddWatchMode, EventType, OpCode, Perm, WatcherType } from "../wire/opcodes.ts";
import type { Reader } from "../wire/reader.ts";
import { type Id, writeAcls } from "../wire/records.ts";
import type { Writer } from "../wire/writer.ts";
import { readMulti } from "./multi.ts";

/** A child in a reply: its length and a name of usual size. */
const nameBytesAbout = 24;

/** What a read needs to know of who asks. */
export interface ReadCaller {
  readonly number: number;
  readonly identities: readonly Id[];
  readonly session: Session | null;
}

const stat = statBlank();

/** An event that setWatches owes right away. */
export type Emit = (type: EventType, bytes: Uint8Array, start: number, end: number) => void;

/** How far a setWatches came. */
export class WatchesPlace {
  since = 0;
  list = -1;
  /** Paths of that list that are left. */
  left = 0;
  /** Where the next one is; 0 as long as nothing was looked at. */
  at = 0;
  isDone = false;
}

export interface ReadsOptions {
  readonly skipAcl: boolean;
  /** Watches of one connection. A long path counts as several. */
  readonly watchesPerConnectionMax: number;
  /** All the watches there may be, … */
  readonly watchesMax: number;
  /** … and what makes room where there are more. False: by cutting off this very connection. */
  readonly makeRoom: (number: number) => boolean;
}

export class Reads {
  readonly #tree: Tree;
  readonly #data: WatchTable;
  readonly #child: WatchTable;
  readonly #skipAcl: boolean;
  readonly #options: ReadsOptions;

  constructor(tree: Tree, data: WatchTable, child: WatchTable, options: ReadsOptions) {
    this.#options = options;
    this.#tree = tree;
    this.#data = data;
    this.#child = child;
    this.#skipAcl = options.skipAcl;
  }

  #allows(row: number, perms: number, caller: ReadCaller): boolean {
    const acl = this.#tree.int(row, I.acl);
    if (acl === aclIdOpen || this.#skipAcl) return true;
    return aclAllows(this.#tree.acls.list(acl), perms, caller.identities);
  }

  #writeStat(out: Writer, row: number): void {
    this.#tree.readStat(row, stat);
    writeStatOf(out, stat, this.#tree.int(row, I.dataLength), this.#tree.int(row, I.children));
  }

  #writeData(out: Writer, row: number): void {
    const tree = this.#tree;
    const length = tree.int(row, I.dataLength);
    out.i32(length);
    if (length <= 0) return;
    const ref = tree.int(row, I.data);
    const at = tree.slab.offset(ref);
    out.rawRange(tree.slab.page(ref), at, at + length);
  }

  /** The body of the reply to any read but setWatches, whose events come before its reply. */
  answer(op: number, r: Reader, out: Writer, caller: ReadCaller): number {
    switch (op) {
      case OpCode.GetData:
        return this.getData(r, out, caller);
      case OpCode.Exists:
        return this.exists(r, out, caller);
      case OpCode.GetChildren:
        return this.getChildren(r, out, caller, false);
      case OpCode.GetChildren2:
        return this.getChildren(r, out, caller, true);
      case OpCode.GetAcl:
        return this.getAcl(r, out, caller);
      case OpCode.Ping:
        return ErrorCode.Ok;
      case OpCode.Sync:
        return this.sync(r, out);
      case OpCode.CheckWatches:
        return this.checkWatches(r, caller, false);
      case OpCode.RemoveWatches:
        return this.checkWatches(r, caller, true);
      case OpCode.MultiRead:
        return this.multiRead(r, out, caller);
      case OpCode.GetEphemerals:
        return this.getEphemerals(r, out, caller);
      case OpCode.GetAllChildrenNumber:
        return this.getAllChildrenNumber(r, out, caller);
      case OpCode.AddWatch:
        return this.addWatch(r, out, caller);
      case OpCode.WhoAmI:
        return this.whoAmI(out, caller);
      default:
        return ErrorCode.Unimplemented;
    }
  }

  /** How long a reply will be, about, for requests whose reply may be much longer than they are. */
  replyBytes(op: number, r: Reader): number {
    // A write behind a long one would have to wait for all of it, so nothing is taken behind it.
    if (isSlow(op, r.left)) return unsentBytesPause + 1;
    if (op !== OpCode.MultiRead) return this.#replyBytesOf(op, r);
    const { bytes } = r;
    let sum = 0;
    for (const { op: part, start, end } of readMulti(r, "read") ?? []) {
      r.reset(bytes, start, end);
      sum += this.#replyBytesOf(part, r);
      if (sum > replyBytesPause) break;
    }
    return sum;
  }

  #replyBytesOf(op: number, r: Reader): number {
    const isData = op === OpCode.GetData;
    if (!isData && op !== OpCode.GetChildren && op !== OpCode.GetChildren2) return 0;
    const length = r.span();
    const row = length < 0 ? 0 : this.#tree.findLive(r.bytes, r.at - length, r.at);
    if (row === 0) return 0;
    return isData ? this.#tree.int(row, I.dataLength) : this.#tree.int(row, I.children) * nameBytesAbout;
  }

  exists(r: Reader, out: Writer, caller: ReadCaller): number {
    const length = r.span();
    const end = r.at;
    const watch = r.bool();
    if (r.failed || length < 0) return ErrorCode.MarshallingError;
    const start = end - length;
    if (pathHasNul(r.bytes, start, end)) return ErrorCode.BadArguments;
    const row = this.#tree.findLive(r.bytes, start, end);
    if (row !== 0 && !this.#allows(row, Perm.Read, caller)) return ErrorCode.NoAuth;
    if (watch && !this.#watch(this.#data, caller.number, r.bytes, start, end, WatchMode.Standard)) {
      return ErrorCode.QuotaExceeded;
    }
    if (row === 0) return ErrorCode.NoNode;
    this.#writeStat(out, row);
    return ErrorCode.Ok;
  }

  getData(r: Reader, out: Writer, caller: ReadCaller): number {
    const length = r.span();
    const end = r.at;
    const watch = r.bool();
    if (r.failed || length < 0) return ErrorCode.MarshallingError;
    const start = end - length;
    const row = this.#tree.findLive(r.bytes, start, end);
    if (row === 0) return ErrorCode.NoNode;
    if (!this.#allows(row, Perm.Read, caller)) return ErrorCode.NoAuth;
    if (watch && !this.#watch(this.#data, caller.number, r.bytes, start, end, WatchMode.Standard)) {
      return ErrorCode.QuotaExceeded;
    }
    this.#writeData(out, row);
    this.#writeStat(out, row);
    return ErrorCode.Ok;
  }

  getChildren(r: Reader, out: Writer, caller: ReadCaller, withStat: boolean): number {
    const length = r.span();
    const end = r.at;
    const watch = r.bool();
    if (r.failed || length < 0) return ErrorCode.MarshallingError;
    const start = end - length;
    const row = this.#tree.findLive(r.bytes, start, end);
    if (row === 0) return ErrorCode.NoNode;
    if (!this.#allows(row, Perm.Read, caller)) return ErrorCode.NoAuth;
    if (watch && !this.#watch(this.#child, caller.number, r.bytes, start, end, WatchMode.Standard)) {
      return ErrorCode.QuotaExceeded;
    }
    this.#writeChildren(out, row);
    if (withStat) this.#writeStat(out, row);
    return ErrorCode.Ok;
  }

  #writeChildren(out: Writer, row: number): void {
    const tree = this.#tree;
    out.i32(tree.int(row, I.children));
    for (let child = tree.int(row, I.childFirst); child !== 0; child = tree.int(child, I.siblingNext)) {
      const length = tree.int(child, I.nameLength);
      const ref = tree.int(child, I.name);
      const at = tree.slab.offset(ref);
      out.i32(length);
      out.rawRange(tree.slab.page(ref), at, at + length);
    }
  }

  getAcl(r: Reader, out: Writer, caller: ReadCaller): number {
    const length = r.span();
    if (r.failed || length < 0) return ErrorCode.MarshallingError;
    const row = this.#tree.findLive(r.bytes, r.at - length, r.at);
    if (row === 0) return ErrorCode.NoNode;
    if (!this.#allows(row, Perm.Read | Perm.Admin, caller)) return ErrorCode.NoAuth;
    const list = this.#tree.acls.list(this.#tree.int(row, I.acl));
    writeAcls(out, this.#allows(row, Perm.Admin, caller) ? list : aclMasked(list));
    this.#writeStat(out, row);
    return ErrorCode.Ok;
  }

  getAllChildrenNumber(r: Reader, out: Writer, caller: ReadCaller): number {
    const length = r.span();
    if (r.failed || length < 0) return ErrorCode.MarshallingError;
    const row = this.#tree.findLive(r.bytes, r.at - length, r.at);
    if (row === 0) return ErrorCode.NoNode;
    if (!this.#allows(row, Perm.Read, caller)) return ErrorCode.NoAuth;
    out.i32(this.#tree.descendants(row));
    return ErrorCode.Ok;
  }

  /** The paths of this session's ephemerals that begin with the prefix, as text, not as a path. */
  getEphemerals(r: Reader, out: Writer, caller: ReadCaller): number {
    const prefix = r.string();
    if (r.failed) return ErrorCode.MarshallingError;
    const all = prefix === null || trimBlanks(prefix) === "" || prefix === "/";
    const wanted = all ? "" : prefix;
    const tree = this.#tree;
    const at = out.room(4);
    let count = 0;
    let looksLeft = ephemeralLooksMax;
    // Ephemerals of one parent mostly come together: its path is made once.
    let parent = 0;
    let above = "";
    for (const row of caller.session === null ? [] : tree.ephemeralRows(caller.session.id)) {
      const own = tree.int(row, I.parent);
      if (own !== parent) {
        above = own === rootRow ? "/" : `${tree.pathOf(own)}/`;
        looksLeft -= above.length >> 3;
        parent = own;
      }
      if (--looksLeft < 0) return ErrorCode.MarshallingError;
      if (!above.startsWith(wanted) && !wanted.startsWith(above)) continue;
      const path = above + tree.nameOf(row);
      looksLeft -= 2;
      if (!path.startsWith(wanted)) continue;
      out.string(path);
      count++;
      looksLeft -= path.length >> 3;
      if (out.length - at > replyBytesMax) return ErrorCode.MarshallingError;
    }
    out.i32At(at, count);
    return ErrorCode.Ok;
  }

  whoAmI(out: Writer, caller: ReadCaller): number {
    out.i32(caller.identities.length);
    for (const identity of caller.identities) {
      out.string(identity.scheme);
      out.string(userOf(identity));
    }
    return ErrorCode.Ok;
  }

  /** The path comes back as it was sent, whatever it is. */
  sync(r: Reader, out: Writer): number {
    const length = r.span();
    if (r.failed) return ErrorCode.MarshallingError;
    out.i32(length);
    if (length > 0) out.rawRange(r.bytes, r.at - length, r.at);
    return ErrorCode.Ok;
  }

  /** Every part by itself: an error is that part's result. Watch flags have no effect here. */
  multiRead(r: Reader, out: Writer, caller: ReadCaller): number {
    const bytes = r.bytes;
    const parts = readMulti(r, "read");
    if (parts === null) return ErrorCode.MarshallingError;
    const begin = out.length;
    for (const { op, start, end } of parts) {
      const at = out.length;
      // Sixteen bytes can ask for a megabyte: what would not be sent is not made.
      if (at - begin > replyBytesMax) return ErrorCode.MarshallingError;
      writeMultiHeader(out, op, 0);
      // The flag is the part's last byte: reading up to it leaves the watch off.
      r.reset(bytes, start, end - 1);
      const length = r.span();
      const row = length < 0 ? 0 : this.#tree.findLive(bytes, r.at - length, r.at);
      let code: number = ErrorCode.Ok;
      if (length < 0) code = ErrorCode.MarshallingError;
      else if (row === 0) code = ErrorCode.NoNode;
      else if (!this.#allows(row, Perm.Read, caller)) code = ErrorCode.NoAuth;
      if (code !== ErrorCode.Ok) {
        out.length = at;
        writeMultiHeader(out, OpCode.Error, code);
        out.i32(code);
      } else if (op === OpCode.GetData) {
        this.#writeData(out, row);
        this.#writeStat(out, row);
      } else this.#writeChildren(out, row);
    }
    writeMultiEnd(out);
    return ErrorCode.Ok;
  }

  // ------------------------------------------------------------------------------------- watches

  addWatch(r: Reader, out: Writer, caller: ReadCaller): number {
    const length = r.span();
    const end = r.at;
    const mode = r.i32();
    if (r.failed || length < 0) return ErrorCode.MarshallingError;
    const start = end - length;
    let isSet: boolean;
    if (mode === AddWatchMode.Persistent) {
      isSet = this.#watch(this.#data, caller.number, r.bytes, start, end, WatchMode.Persistent) &&
        this.#watch(this.#child, caller.number, r.bytes, start, end, WatchMode.Persistent);
    } else if (mode === AddWatchMode.PersistentRecursive) {
      isSet = this.#watch(this.#data, caller.number, r.bytes, start, end, WatchMode.Recursive);
    } else return ErrorCode.MarshallingError;
    if (!isSet) return ErrorCode.QuotaExceeded;
    out.i32(0);
    return ErrorCode.Ok;
  }

  checkWatches(r: Reader, caller: ReadCaller, remove: boolean): number {
    const length = r.span();
    const end = r.at;
    const type = r.i32();
    if (r.failed || length < 0) return ErrorCode.MarshallingError;
    const start = end - length;
    const { data, child } = watchedModes(type);
    if (data === 0 && child === 0) return ErrorCode.MarshallingError;
    let found: boolean;
    if (remove) {
      const fromData = this.#data.remove(caller.number, r.bytes, start, end, data);
      const fromChild = this.#child.remove(caller.number, r.bytes, start, end, child);
      found = fromData || fromChild;
    } else {
      found = (this.#data.modes(caller.number, r.bytes, start, end) & data) !== 0 ||
        (this.#child.modes(caller.number, r.bytes, start, end) & child) !== 0;
    }
    return found ? ErrorCode.Ok : ErrorCode.NoWatcher;
  }

  /**
   * Watches come back after a reconnect; what was missed meanwhile is told at once. server-semantics 4.2.
   * One call does so much; `place` says whether that was all. One that can't be read does nothing.
   */
  setWatches(
    r: Reader,
    caller: ReadCaller,
    emit: Emit,
    withPersistent: boolean,
    place: WatchesPlace,
  ): number {
    const lists = withPersistent ? 5 : 3;
    if (place.at === 0) {
      place.since = r.i64AsNumber();
      place.at = r.at;
      for (let i = 0; i < lists; i++) {
        const count = r.i32();
        if (count === -1) return ErrorCode.MarshallingError;
        for (let k = 0; k < count; k++) if (r.span() < 0) return ErrorCode.MarshallingError;
      }
      if (r.failed) return ErrorCode.MarshallingError;
    }
    r.at = place.at;
    const until = r.at + setWatchesBytesAtOnce;
    while (r.at < until) {
      if (place.left <= 0) {
        if (++place.list === lists) {
          place.isDone = true;
          return ErrorCode.Ok;
        }
        place.left = r.i32();
        continue;
      }
      place.left--;
      const length = r.span();
      if (!this.#setWatch(place.list, r.bytes, r.at - length, r.at, place.since, caller, emit)) {
        return ErrorCode.QuotaExceeded;
      }
    }
    place.at = r.at;
    return ErrorCode.Ok;
  }

  /** False: there are as many as there may be. */
  #setWatch(
    which: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    since: number,
    caller: ReadCaller,
    emit: Emit,
  ): boolean {
    const { number } = caller;
    if (which >= 3) {
      const mode = which === 3 ? WatchMode.Persistent : WatchMode.Recursive;
      return this.#watch(this.#data, number, bytes, start, end, mode) &&
        (which !== 3 || this.#watch(this.#child, number, bytes, start, end, mode));
    }
    const table = which === 2 ? this.#child : this.#data;
    const row = this.#tree.findLive(bytes, start, end);
    let missed: EventType | null = null;
    if (which === 1) {
      if (row !== 0) missed = EventType.NodeCreated;
    } else if (row === 0) missed = EventType.NodeDeleted;
    else {
      this.#tree.readStat(row, stat);
      if (which === 0 && stat.mzxid > since) missed = EventType.NodeDataChanged;
      if (which === 2 && stat.pzxid > since) missed = EventType.NodeChildrenChanged;
    }
    if (missed === null) return this.#watch(table, number, bytes, start, end, WatchMode.Standard);
    emit(missed, bytes, start, end);
    return true;
  }

  /** Sets a watch. False: this connection has as many as one may. */
  #watch(
    table: WatchTable,
    number: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    mode: number,
  ): boolean {
    const { watchesPerConnectionMax, watchesMax, makeRoom } = this.#options;
    const weight = this.#data.weightOf(number) + this.#child.weightOf(number) + watchWeight(end - start);
    if (weight > watchesPerConnectionMax && table.modes(number, bytes, start, end) === 0) return false;
    table.add(number, bytes, start, end, mode);
    return this.#data.weight + this.#child.weight <= watchesMax || makeRoom(number);
  }
}

/** Is this too long for one turn? `length` is that of the request. */
export function isSlow(op: number, length: number): boolean {
  return (op === OpCode.SetWatches || op === OpCode.SetWatches2) && length > setWatchesBytesAtOnce;
}

/** Which modes a WatcherType means in each table; none for an unknown type. server-semantics 4.3. */
function watchedModes(type: number): { data: number; child: number } {
  switch (type) {
    case WatcherType.Children:
      return { data: 0, child: WatchMode.Standard };
    case WatcherType.Data:
      return { data: WatchMode.Standard, child: 0 };
    case WatcherType.Any:
      return { data: watchModesAll, child: watchModesAll };
    case WatcherType.Persistent:
      return { data: WatchMode.Persistent, child: WatchMode.Persistent };
    case WatcherType.PersistentRecursive:
      return { data: WatchMode.Recursive, child: 0 };
    default:
      return { data: 0, child: 0 };
  }
}

export function writeMultiHeader(out: Writer, type: number, code: number): void {
  out.i32(type);
  out.bool(false);
  out.i32(code);
}

export function writeMultiEnd(out: Writer): void {
  out.i32(-1);
  out.bool(true);
  out.i32(-1);
}
