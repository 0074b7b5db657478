/**
 * Tree: the committed znodes, as rows of numbers.
 *
 * A znode is one row of 32 integers (128 bytes), its name and data in a slab. One hash table finds
 * a child by (parent, name), so a path is never stored and a lookup walks the components straight
 * from the request's bytes: no string is made. Children hang on a list of siblings.
 *
 * A row is `live` once its create is committed. Before that it may be reserved: the overlay keeps
 * what is pending for it under the same row (see overlay.ts). Reads see live rows alone.
 *
 * Always true: a live row's parent is live; the root is row 1; `digest` is the sum of the digests
 * of all live rows outside /zookeeper/ (server-semantics 10.9). A znode that has children keeps how many
 * znodes and bytes of data are below it, so nobody has to walk to know; while a load is under way, only
 * up to its last parent but one.
 */
import { assert } from "../base/assert.ts";
import { Buckets } from "../base/buckets.ts";
import { bytesEmpty, bytesOf, textOf } from "../base/bytes.ts";
import { crcEnd, crcStart, crcUpdate } from "../base/crc32.ts";
import { Rows } from "../base/rows.ts";
import { ShardedMap } from "../base/sharded_map.ts";
import { Slab } from "../base/slab.ts";
import { sessionHi, type SessionId, sessionIdOf, sessionLo } from "../base/zxid.ts";
import { aclIdOpen, aclReadBytes, AclTable } from "./acl.ts";
import { crcStat, DigestSum, OwnerKind, ownerKind, statBlank, type StatStored } from "./stat.ts";

// Doubles, counted from the start of the row.
export const F = { czxid: 0, mzxid: 1, pzxid: 2, ctime: 3, mtime: 4 } as const;
// Integers, counted from the start of the row; the doubles fill the first ten.
export const I = {
  version: 10,
  cversion: 11,
  aversion: 12,
  ownerHi: 13,
  ownerLo: 14,
  acl: 15,
  children: 16,
  parent: 17,
  childFirst: 18,
  siblingNext: 19,
  siblingBefore: 20,
  hash: 21,
  name: 22,
  nameLength: 23,
  data: 24,
  /** -1 is null. */
  dataLength: 25,
  digest: 26,
  crcPath: 27,
  crcData: 28,
  /** Slot in the overlay plus one; 0 for none. */
  pending: 29,
  flags: 30,
  hashNext: 31,
} as const;
const rowInts = 32;
const liveFlag = 1;
/** Below /zookeeper: not covered by the digest. */
const undigestedFlag = 2;
/** The flags' high bits: the row of what is below, or 0. */
const sumShift = 2;

/** What is below a znode: a double of data bytes, then how many descendants. */
const S = { bytes: 0, count: 2 } as const;
const sumInts = 4;

const slash = 0x2f;
export const rootRow = 1;

const zookeeperName = bytesOf("zookeeper");
const configPath = "/zookeeper/config";

/** Without the seed, names could be chosen that all fall into one bucket. */
function hashName(seed: number, parent: number, bytes: Uint8Array, start: number, end: number): number {
  let h = Math.imul(parent, 0x9e3779b1) ^ seed;
  for (let i = start; i < end; i++) h = Math.imul(h ^ (bytes[i] as number), 0x01000193);
  h ^= h >>> 15;
  return Math.imul(h, 0x2c1b3c6d) ^ (h >>> 12);
}

/** The parent of the rows that were loaded last, and what of them is not in the sums yet. */
function loadedUnderNone(): {
  bytes: Uint8Array;
  start: number;
  length: number;
  row: number;
  children: number;
  dataBytes: number;
} {
  return { bytes: bytesEmpty, start: 0, length: -1, row: 0, children: 0, dataBytes: 0 };
}

/** Somebody who goes over the live rows a piece at a time, while the tree changes between the pieces. */
export interface TreeWalk {
  /** This row is about to leave the tree; it is still in its place. */
  leaving(row: number): void;
  /** The whole tree goes: no row means anything any more. */
  cut(): void;
}

export class Tree {
  // Nobody else sets these three; `clear` puts new ones in their place.
  rows = new Rows(rowInts);
  slab = new Slab();
  acls = new AclTable();
  readonly digest = new DigestSum();
  /** Walks under way; nearly always none. */
  readonly walks: TreeWalk[] = [];
  readonly digestEnabled: boolean;
  /** Live ephemerals by session; sets of rows. */
  readonly ephemerals = new Map<SessionId, Set<number>>();
  readonly containers = new ShardedMap<number, true>((row) => row);
  readonly ttls = new ShardedMap<number, true>((row) => row);
  liveCount = 0;
  ephemeralCount = 0;
  /** Bytes of all paths and data. */
  dataBytes = 0;

  #loadedUnder = loadedUnderNone();
  readonly #hashSeed: number;
  #names = this.#namesOf(this.rows);
  /** What is below a znode that has or had children; its row says where. */
  #sums = new Rows(sumInts);

  constructor(options: { digestEnabled: boolean; hashSeed?: number }) {
    this.digestEnabled = options.digestEnabled;
    this.#hashSeed = (options.hashSeed ?? 0) ^ 0x811c9dc5;
    this.#plant();
  }

  #namesOf(rows: Rows): Buckets {
    return new Buckets(rows, I.hashNext, (chunk, at) => chunk[at + I.hash] as number);
  }

  #plant(): void {
    const root = this.rows.alloc();
    assert(root === rootRow, "the root is row 1");
    const chunk = this.rows.chunk(root);
    const at = this.rows.at(root);
    chunk[at + I.crcPath] = crcStart;
    chunk[at + I.crcData] = crcStart;
    this.#goLive(root, 0);
    this.#sign(root);
  }

  /**
   * Back to a root alone, as when it was new; the memory of all that was there is given back. What is
   * pending in an overlay has to be dropped before, and walks under way are cut off.
   */
  clear(): void {
    for (const walk of [...this.walks]) walk.cut();
    this.walks.length = 0;
    this.rows = new Rows(rowInts);
    this.slab = new Slab();
    this.acls = new AclTable();
    this.digest.hi = this.digest.lo = 0;
    this.ephemerals.clear();
    this.containers.clear();
    this.ttls.clear();
    this.liveCount = this.ephemeralCount = this.dataBytes = 0;
    this.#names = this.#namesOf(this.rows);
    this.#sums = new Rows(sumInts);
    this.endLoad();
    this.#plant();
  }

  /** The znodes of a database that never held anything. server-semantics 1.1. */
  makeReserved(): void {
    this.#loadEmpty("/zookeeper", 0, null);
    this.#loadEmpty("/zookeeper/quota", 0, null);
    this.#loadConfig();
  }

  /** A tree that came without the znode gets it, and what it hangs on. */
  #loadConfig(): void {
    if (this.findText("/zookeeper") === 0) this.#loadEmpty("/zookeeper", 0, null);
    this.#loadEmpty(configPath, -1, aclReadBytes);
    this.endLoad();
  }

  #loadEmpty(path: string, aversion: number, acls: Uint8Array | null): void {
    const bytes = bytesOf(path);
    this.load(bytes, 0, bytes.length, 0, 0, 0, 0, 0, 0, 0, 0, 0, aversion, 0, 0, acls);
  }

  // ---------------------------------------------------------------------------------- finding

  /** The row of a path, live or reserved, or 0. The empty path names the root, as in the original. */
  find(bytes: Uint8Array, start: number, end: number): number {
    if (end - start <= 1) return end === start || bytes[start] === slash ? rootRow : 0;
    if (bytes[start] !== slash) return 0;
    let row = rootRow;
    let from = start + 1;
    for (let i = from; i <= end; i++) {
      if (i < end && bytes[i] !== slash) continue;
      if (i === from) return 0;
      row = this.child(row, bytes, from, i);
      if (row === 0) return 0;
      from = i + 1;
    }
    return row;
  }

  findLive(bytes: Uint8Array, start: number, end: number): number {
    const row = this.find(bytes, start, end);
    return row !== 0 && this.isLive(row) ? row : 0;
  }

  findText(path: string): number {
    const bytes = bytesOf(path);
    return this.findLive(bytes, 0, bytes.length);
  }

  /** The child of a row by name, live or reserved, or 0. */
  child(parent: number, bytes: Uint8Array, start: number, end: number): number {
    const hash = hashName(this.#hashSeed, parent, bytes, start, end);
    const length = end - start;
    let row = this.#names.first(hash);
    while (row !== 0) {
      const chunk = this.rows.chunk(row);
      const at = this.rows.at(row);
      if (
        chunk[at + I.hash] === hash && chunk[at + I.parent] === parent &&
        chunk[at + I.nameLength] === length &&
        this.#nameIs(chunk[at + I.name] as number, bytes, start, length)
      ) return row;
      row = chunk[at + I.hashNext] as number;
    }
    return 0;
  }

  #nameIs(ref: number, bytes: Uint8Array, start: number, length: number): boolean {
    const page = this.slab.page(ref);
    const at = this.slab.offset(ref);
    for (let i = 0; i < length; i++) if (page[at + i] !== bytes[start + i]) return false;
    return true;
  }

  // ------------------------------------------------------------------------------ rows and fields

  isLive(row: number): boolean {
    return ((this.rows.chunk(row)[this.rows.at(row) + I.flags] as number) & liveFlag) !== 0;
  }

  isDigested(row: number): boolean {
    return this.digestEnabled &&
      ((this.rows.chunk(row)[this.rows.at(row) + I.flags] as number) & undigestedFlag) === 0;
  }

  int(row: number, field: number): number {
    return this.rows.chunk(row)[this.rows.at(row) + field] as number;
  }

  setInt(row: number, field: number, value: number): void {
    this.rows.chunk(row)[this.rows.at(row) + field] = value;
  }

  double(row: number, field: number): number {
    return this.rows.chunk64(row)[(this.rows.at(row) >> 1) + field] as number;
  }

  /** Copies the stored stat of a row into an object that the caller reuses. */
  readStat(row: number, into: StatStored): void {
    const chunk = this.rows.chunk(row);
    const doubles = this.rows.chunk64(row);
    const at = this.rows.at(row);
    const half = at >> 1;
    into.czxid = doubles[half + F.czxid] as number;
    into.mzxid = doubles[half + F.mzxid] as number;
    into.pzxid = doubles[half + F.pzxid] as number;
    into.ctime = doubles[half + F.ctime] as number;
    into.mtime = doubles[half + F.mtime] as number;
    into.version = chunk[at + I.version] as number;
    into.cversion = chunk[at + I.cversion] as number;
    into.aversion = chunk[at + I.aversion] as number;
    into.ownerHi = chunk[at + I.ownerHi] as number;
    into.ownerLo = chunk[at + I.ownerLo] as number;
  }

  /** The data of a live row as a view that the next change ends, or null. */
  dataOf(row: number): Uint8Array | null {
    const length = this.int(row, I.dataLength);
    if (length < 0) return null;
    const ref = this.int(row, I.data);
    if (length === 0) return new Uint8Array(0);
    const at = this.slab.offset(ref);
    return this.slab.page(ref).subarray(at, at + length);
  }

  nameOf(row: number): string {
    const length = this.int(row, I.nameLength);
    if (length === 0) return "";
    const ref = this.int(row, I.name);
    const at = this.slab.offset(ref);
    return textOf(this.slab.page(ref), at, at + length);
  }

  pathOf(row: number): string {
    if (row === rootRow) return "/";
    let path = "";
    for (let at = row; at !== rootRow; at = this.int(at, I.parent)) path = `/${this.nameOf(at)}${path}`;
    return path;
  }

  /** Makes a row for a name that has none: in the hash table, not live. `crcPath` covers its whole path. */
  reserve(parent: number, bytes: Uint8Array, start: number, end: number, crcPath: number): number {
    const row = this.rows.alloc();
    const chunk = this.rows.chunk(row);
    const at = this.rows.at(row);
    const hash = hashName(this.#hashSeed, parent, bytes, start, end);
    chunk[at + I.parent] = parent;
    chunk[at + I.hash] = hash;
    chunk[at + I.name] = this.slab.put(bytes, start, end);
    chunk[at + I.nameLength] = end - start;
    chunk[at + I.dataLength] = -1;
    chunk[at + I.crcPath] = crcPath;
    chunk[at + I.crcData] = crcPath;
    const below = (this.int(parent, I.flags) & undigestedFlag) !== 0 || this.#isZookeeper(parent);
    chunk[at + I.flags] = below ? undigestedFlag : 0;
    this.#names.add(row, hash);
    return row;
  }

  #isZookeeper(row: number): boolean {
    return this.int(row, I.parent) === rootRow && this.int(row, I.nameLength) === zookeeperName.length &&
      this.#nameIs(this.int(row, I.name), zookeeperName, 0, zookeeperName.length);
  }

  /** Gives back a row that is neither live nor pending. */
  releaseIfUnused(row: number): void {
    const chunk = this.rows.chunk(row);
    const at = this.rows.at(row);
    if (((chunk[at + I.flags] as number) & liveFlag) !== 0 || chunk[at + I.pending] !== 0) return;
    assert(chunk[at + I.childFirst] === 0, "a released znode has no children");
    const hashed = this.#names.remove(row, chunk[at + I.hash] as number);
    assert(hashed, "a released row is in its bucket");
    const sum = (chunk[at + I.flags] as number) >>> sumShift;
    if (sum !== 0) this.#sums.free(sum);
    this.slab.drop(chunk[at + I.name] as number);
    this.rows.free(row);
  }

  #goLive(row: number, pathBytes: number): void {
    const chunk = this.rows.chunk(row);
    const at = this.rows.at(row);
    chunk[at + I.flags] = (chunk[at + I.flags] as number) | liveFlag;
    this.liveCount++;
    this.dataBytes += pathBytes + Math.max(0, chunk[at + I.dataLength] as number);
    if (row === rootRow) return;
    const parent = chunk[at + I.parent] as number;
    const parentChunk = this.rows.chunk(parent);
    const parentAt = this.rows.at(parent);
    const first = parentChunk[parentAt + I.childFirst] as number;
    chunk[at + I.siblingNext] = first;
    chunk[at + I.siblingBefore] = 0;
    if (first !== 0) this.setInt(first, I.siblingBefore, row);
    parentChunk[parentAt + I.childFirst] = row;
    parentChunk[parentAt + I.children] = (parentChunk[parentAt + I.children] as number) + 1;
  }

  /** So many znodes and bytes more are below a row, and so below each of its ancestors. */
  #addAt(row: number, count: number, bytes: number): void {
    const sums = this.#sums;
    for (let above = row; above !== 0;) {
      const chunk = this.rows.chunk(above);
      const at = this.rows.at(above);
      let sum = (chunk[at + I.flags] as number) >>> sumShift;
      if (sum === 0) {
        sum = sums.alloc();
        chunk[at + I.flags] = (chunk[at + I.flags] as number) | (sum << sumShift);
      }
      const sumAt = sums.at(sum);
      const ints = sums.chunk(sum);
      const doubles = sums.chunk64(sum);
      ints[sumAt + S.count] = (ints[sumAt + S.count] as number) + count;
      doubles[(sumAt >> 1) + S.bytes] = (doubles[(sumAt >> 1) + S.bytes] as number) + bytes;
      above = chunk[at + I.parent] as number;
    }
  }

  /** Computes a live row's digest anew and puts it in the sum in place of the old one. */
  #sign(row: number): void {
    if (!this.isDigested(row)) return;
    this.readStat(row, scratch);
    this.#signAs(row, crcEnd(crcStat(this.int(row, I.crcData), scratch)));
  }

  #signAs(row: number, digest: number): void {
    const chunk = this.rows.chunk(row);
    const at = this.rows.at(row) + I.digest;
    this.digest.subtract(chunk[at] as number);
    chunk[at] = digest;
    this.digest.add(digest);
  }

  // ------------------------------------------------------------------------------------ applying

  /**
   * A committed create. Returns its row, or 0 where it is there already or its parent is missing,
   * which only a replay can meet (server-semantics 10.8).
   */
  create(
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
  ): number {
    let nameAt = pathEnd;
    while (nameAt > pathStart && bytes[nameAt - 1] !== slash) nameAt--;
    const parent = this.findLive(bytes, pathStart, nameAt - 1);
    if (parent === 0 || nameAt === pathEnd) return 0;
    this.#countCreation(parent, parentCversion, zxid);
    let row = this.child(parent, bytes, nameAt, pathEnd);
    if (row === 0) {
      row = this.reserve(parent, bytes, nameAt, pathEnd, crcUpdate(crcStart, bytes, pathStart, pathEnd));
    } else if (this.isLive(row)) {
      this.#sign(parent);
      return 0;
    }
    const chunk = this.rows.chunk(row);
    const doubles = this.rows.chunk64(row);
    const at = this.rows.at(row);
    const half = at >> 1;
    doubles[half + F.czxid] = zxid;
    doubles[half + F.mzxid] = zxid;
    doubles[half + F.pzxid] = zxid;
    doubles[half + F.ctime] = timeMs;
    doubles[half + F.mtime] = timeMs;
    chunk[at + I.version] = 0;
    chunk[at + I.cversion] = 0;
    chunk[at + I.aversion] = 0;
    chunk[at + I.ownerHi] = ownerHi;
    chunk[at + I.ownerLo] = ownerLo;
    chunk[at + I.acl] = aclsEnd - aclsStart <= 4 ? aclIdOpen : this.acls.use(bytes, aclsStart, aclsEnd);
    this.#putData(row, bytes, dataStart, dataEnd);
    this.#goLive(row, pathEnd - pathStart);
    this.#addAt(parent, 1, dataStart < 0 ? 0 : dataEnd - dataStart);
    this.#index(row, ownerHi, ownerLo);
    this.#sign(parent);
    this.#sign(row);
    return row;
  }

  #countCreation(parent: number, parentCversion: number, zxid: number): void {
    const chunk = this.rows.chunk(parent);
    const at = this.rows.at(parent);
    const own = chunk[at + I.cversion] as number;
    const next = parentCversion === -1 ? (own + 1) | 0 : parentCversion;
    if (next <= own) return;
    chunk[at + I.cversion] = next;
    this.rows.chunk64(parent)[(at >> 1) + F.pzxid] = zxid;
  }

  #index(row: number, ownerHi: number, ownerLo: number): void {
    const kind = ownerKind(ownerHi, ownerLo);
    if (kind === OwnerKind.None) return;
    if (kind === OwnerKind.Container) this.containers.set(row, true);
    else if (kind === OwnerKind.Ttl) this.ttls.set(row, true);
    else {
      const session = sessionIdOf(ownerHi, ownerLo);
      const set = this.ephemerals.get(session);
      if (set === undefined) this.ephemerals.set(session, new Set([row]));
      else set.add(row);
      this.ephemeralCount++;
    }
  }

  #unindex(row: number): void {
    const hi = this.int(row, I.ownerHi);
    const lo = this.int(row, I.ownerLo);
    const kind = ownerKind(hi, lo);
    if (kind === OwnerKind.None) return;
    if (kind === OwnerKind.Container) this.containers.delete(row);
    else if (kind === OwnerKind.Ttl) this.ttls.delete(row);
    else {
      const session = sessionIdOf(hi, lo);
      const set = this.ephemerals.get(session);
      set?.delete(row);
      if (set?.size === 0) this.ephemerals.delete(session);
      this.ephemeralCount--;
    }
  }

  #putData(row: number, bytes: Uint8Array, start: number, end: number): void {
    const chunk = this.rows.chunk(row);
    const at = this.rows.at(row);
    const lengthOld = Math.max(0, chunk[at + I.dataLength] as number);
    const refOld = chunk[at + I.data] as number;
    if (start < 0) {
      if (lengthOld > 0) this.slab.drop(refOld);
      chunk[at + I.data] = 0;
      chunk[at + I.dataLength] = -1;
      chunk[at + I.crcData] = chunk[at + I.crcPath] as number;
      return;
    }
    chunk[at + I.data] = this.slab.replace(refOld, lengthOld, bytes, start, end);
    chunk[at + I.dataLength] = end - start;
    if (this.digestEnabled) {
      chunk[at + I.crcData] = crcUpdate(chunk[at + I.crcPath] as number, bytes, start, end);
    }
  }

  /** A committed delete. The row keeps its place while something is pending for it. False: it was not there. */
  delete(row: number, pathBytes: number, zxid: number): void {
    assert(row !== rootRow && this.isLive(row), "only a live znode other than the root is deleted");
    const chunk = this.rows.chunk(row);
    const at = this.rows.at(row);
    assert(chunk[at + I.childFirst] === 0, "a deleted znode has no children");
    for (let i = 0; i < this.walks.length; i++) (this.walks[i] as TreeWalk).leaving(row);
    const parent = chunk[at + I.parent] as number;
    const next = chunk[at + I.siblingNext] as number;
    const before = chunk[at + I.siblingBefore] as number;
    if (before === 0) this.setInt(parent, I.childFirst, next);
    else this.setInt(before, I.siblingNext, next);
    if (next !== 0) this.setInt(next, I.siblingBefore, before);
    this.setInt(parent, I.children, this.int(parent, I.children) - 1);
    this.touchParent(parent, zxid);
    this.#unindex(row);
    this.acls.drop(chunk[at + I.acl] as number);
    const length = Math.max(0, chunk[at + I.dataLength] as number);
    this.#addAt(parent, -1, -length);
    if (length > 0) this.slab.drop(chunk[at + I.data] as number);
    this.digest.subtract(chunk[at + I.digest] as number);
    this.dataBytes -= pathBytes + length;
    this.liveCount--;
    chunk[at + I.digest] = 0;
    chunk[at + I.data] = 0;
    chunk[at + I.dataLength] = -1;
    chunk[at + I.acl] = aclIdOpen;
    chunk[at + I.flags] = (chunk[at + I.flags] as number) & ~liveFlag;
    this.releaseIfUnused(row);
  }

  /** A child of `parent` went at `zxid`. */
  touchParent(parent: number, zxid: number): void {
    const doubles = this.rows.chunk64(parent);
    const at = (this.rows.at(parent) >> 1) + F.pzxid;
    if (zxid > (doubles[at] as number)) doubles[at] = zxid;
    this.#sign(parent);
  }

  /** A committed setData. `digest` is the row's new digest where the caller knows it, else -1. */
  setData(
    row: number,
    bytes: Uint8Array,
    dataStart: number,
    dataEnd: number,
    version: number,
    zxid: number,
    timeMs: number,
    digest: number,
    crcData: number,
  ): void {
    const chunk = this.rows.chunk(row);
    const doubles = this.rows.chunk64(row);
    const at = this.rows.at(row);
    this.#resize(row, dataStart < 0 ? 0 : dataEnd - dataStart);
    if (digest >= 0 && dataStart >= 0) {
      const lengthOld = Math.max(0, chunk[at + I.dataLength] as number);
      chunk[at + I.data] = this.slab.replace(
        chunk[at + I.data] as number,
        lengthOld,
        bytes,
        dataStart,
        dataEnd,
      );
      chunk[at + I.dataLength] = dataEnd - dataStart;
      chunk[at + I.crcData] = crcData;
    } else this.#putData(row, bytes, dataStart, dataEnd);
    doubles[(at >> 1) + F.mzxid] = zxid;
    doubles[(at >> 1) + F.mtime] = timeMs;
    chunk[at + I.version] = version;
    if (digest >= 0) this.#signAs(row, digest);
    else this.#sign(row);
  }

  /** A live row is about to hold so many bytes. */
  #resize(row: number, bytes: number): void {
    const more = bytes - Math.max(0, this.int(row, I.dataLength));
    if (more === 0) return;
    this.dataBytes += more;
    this.#addAt(this.int(row, I.parent), 0, more);
  }

  /** Data changed in place, without a txn: quota statistics. */
  setDataQuietly(row: number, bytes: Uint8Array): void {
    this.#resize(row, bytes.length);
    this.#putData(row, bytes, 0, bytes.length);
  }

  /**
   * What /zookeeper/config shows: the text of the configuration, under its version. No txn says so;
   * each peer writes its own (quorum-protocol 4.7).
   */
  setConfig(text: Uint8Array, version: number, timeMs: number): void {
    let row = this.findText(configPath);
    if (row === 0) {
      this.#loadConfig();
      row = this.findText(configPath);
    }
    this.setDataQuietly(row, text);
    this.setInt(row, I.version, -1);
    const doubles = this.rows.chunk64(row);
    const half = this.rows.at(row) >> 1;
    doubles[half + F.mzxid] = version;
    doubles[half + F.mtime] = timeMs;
  }

  setAcl(row: number, bytes: Uint8Array, aclsStart: number, aclsEnd: number, aversion: number): void {
    const chunk = this.rows.chunk(row);
    const at = this.rows.at(row);
    const old = chunk[at + I.acl] as number;
    chunk[at + I.acl] = aclsEnd - aclsStart <= 4 ? aclIdOpen : this.acls.use(bytes, aclsStart, aclsEnd);
    chunk[at + I.aversion] = aversion;
    this.acls.drop(old);
    this.#sign(row);
  }

  /** The parent of a loaded row; siblings come in a row, so the last answer is looked at first. */
  #loadParent(bytes: Uint8Array, start: number, end: number): number {
    const last = this.#loadedUnder;
    const length = end - start;
    let same = length === last.length && last.row !== 0;
    for (let i = 0; same && i < length; i++) same = last.bytes[last.start + i] === bytes[start + i];
    if (!same) {
      this.#endSiblings();
      last.row = this.findLive(bytes, start, end);
    }
    last.bytes = bytes;
    last.start = start;
    last.length = length;
    return last.row;
  }

  /** Loading is over: lets go of what only it needed. */
  endLoad(): void {
    this.#endSiblings();
    this.#loadedUnder = loadedUnderNone();
  }

  /** What was loaded under one parent is added to the sums at once. */
  #endSiblings(): void {
    const last = this.#loadedUnder;
    if (last.children > 0) this.#addAt(last.row, last.children, last.dataBytes);
    last.children = last.dataBytes = 0;
  }

  /**
   * A row as a snapshot holds it, parents first and none twice. Data is at `bytes[dataStart, dataEnd)`, a start of -1
   * null. False: the parent is missing.
   */
  load(
    bytes: Uint8Array,
    pathStart: number,
    pathEnd: number,
    dataStart: number,
    dataEnd: number,
    czxid: number,
    mzxid: number,
    pzxid: number,
    ctime: number,
    mtime: number,
    version: number,
    cversion: number,
    aversion: number,
    ownerHi: number,
    ownerLo: number,
    acls: Uint8Array | null,
  ): boolean {
    let row = rootRow;
    const isRoot = pathEnd - pathStart <= 1;
    if (!isRoot) {
      let nameAt = pathEnd;
      while (nameAt > pathStart && bytes[nameAt - 1] !== slash) nameAt--;
      const parent = this.#loadParent(bytes, pathStart, nameAt - 1);
      if (parent === 0 || nameAt === pathEnd) return false;
      row = this.reserve(parent, bytes, nameAt, pathEnd, crcUpdate(crcStart, bytes, pathStart, pathEnd));
    }
    const chunk = this.rows.chunk(row);
    const doubles = this.rows.chunk64(row);
    const at = this.rows.at(row);
    const half = at >> 1;
    doubles[half + F.czxid] = czxid;
    doubles[half + F.mzxid] = mzxid;
    doubles[half + F.pzxid] = pzxid;
    doubles[half + F.ctime] = ctime;
    doubles[half + F.mtime] = mtime;
    chunk[at + I.version] = version;
    chunk[at + I.cversion] = cversion;
    chunk[at + I.aversion] = aversion;
    chunk[at + I.ownerHi] = ownerHi;
    chunk[at + I.ownerLo] = ownerLo;
    chunk[at + I.acl] = acls === null ? aclIdOpen : this.acls.use(acls, 0, acls.length);
    this.#putData(row, bytes, dataStart, dataEnd);
    if (isRoot) this.dataBytes += dataStart < 0 ? 0 : dataEnd - dataStart;
    else {
      this.#goLive(row, pathEnd - pathStart);
      this.#index(row, ownerHi, ownerLo);
      this.#loadedUnder.children++;
      this.#loadedUnder.dataBytes += dataStart < 0 ? 0 : dataEnd - dataStart;
    }
    this.#sign(row);
    return true;
  }

  /** All descendants of a row, the row itself not counted. */
  descendants(row: number): number {
    const sum = this.int(row, I.flags) >>> sumShift;
    return this.#sums.chunk(sum)[this.#sums.at(sum) + S.count] as number;
  }

  /** The bytes of their data. */
  bytesBelow(row: number): number {
    const sum = this.int(row, I.flags) >>> sumShift;
    return this.#sums.chunk64(sum)[(this.#sums.at(sum) >> 1) + S.bytes] as number;
  }

  ephemeralRows(session: SessionId): ReadonlySet<number> {
    return this.ephemerals.get(session) ?? none;
  }

  isOwnedBy(row: number, session: SessionId): boolean {
    return this.int(row, I.ownerHi) === sessionHi(session) && this.int(row, I.ownerLo) === sessionLo(session);
  }
}

const none: ReadonlySet<number> = new Set();

const scratch = statBlank();
