/**
 * Watch table: who asked to hear about which path.
 *
 * A server has two, one for data and one for children (server-semantics 5.1). A watch is one row of
 * 8 integers, a watched path one row of 6 and a cell of its bytes: about 100 bytes for a watch on a
 * path of its own, where an object in two maps would cost 300. The path need not exist. A change
 * looks up its own path and, while anybody watches recursively, each of its ancestors: what other
 * watches there are costs nothing.
 *
 * Always true: one row for each (connection, path) however often it was asked for; its modes are a
 * set, so a one-shot watch and a persistent one live side by side (as from 3.9).
 */
import { Buckets } from "../base/buckets.ts";
import { textOf } from "../base/bytes.ts";
import { Rows } from "../base/rows.ts";
import { Slab } from "../base/slab.ts";

export const WatchMode = { Standard: 1, Persistent: 2, Recursive: 4 } as const;
export const watchModesAll = 7;

const P = { path: 0, length: 1, hash: 2, hashNext: 3, first: 4 } as const;
const W = {
  path: 0,
  connection: 1,
  modes: 2,
  pathNext: 3,
  pathBefore: 4,
  connectionNext: 5,
  connectionBefore: 6,
  hashNext: 7,
} as const;

const slash = 0x2f;

const hashPrime = 0x01000193;

function hashEnd(state: number): number {
  const h = state ^ (state >>> 15);
  return Math.imul(h, 0x2c1b3c6d) ^ (h >>> 12);
}

function hashPath(seed: number, bytes: Uint8Array, start: number, end: number): number {
  let h = seed;
  for (let i = start; i < end; i++) h = Math.imul(h ^ (bytes[i] as number), hashPrime);
  return hashEnd(h);
}

function hashPair(path: number, connection: number): number {
  const h = Math.imul(path, 0x9e3779b1) ^ Math.imul(connection, 0x85ebca6b);
  return h ^ (h >>> 15);
}

/** Bytes of a path that are held for one watch; a longer path weighs as more than one. */
const weightBytes = 128;

/** What a watch on a path of so many bytes counts as. */
export function watchWeight(pathBytes: number): number {
  return 1 + Math.floor(pathBytes / weightBytes);
}

/** The watch that is shown next; moved on when that one goes. */
interface Cursor {
  watch: number;
}

export class WatchTable {
  readonly #paths = new Rows(6);
  readonly #watches = new Rows(8);
  readonly #slab = new Slab();
  readonly #pathBuckets = new Buckets(this.#paths, P.hashNext, (chunk, at) => chunk[at + P.hash] as number);
  readonly #pairBuckets = new Buckets(
    this.#watches,
    W.hashNext,
    (chunk, at) => hashPair(chunk[at + W.path] as number, chunk[at + W.connection] as number),
  );
  /** First watch of each connection, by its number. */
  readonly #firstOf: number[] = [];
  /** What the watches of each connection weigh, and all of them. */
  readonly #weightOf: number[] = [];
  weight = 0;
  #recursive = 0;
  /** Lists of a connection's paths that somebody is reading. */
  readonly #cursors = new Set<Cursor>();

  readonly #hashSeed: number;

  /** The seed keeps strangers from choosing paths that all fall into one bucket. */
  constructor(hashSeed = 0) {
    this.#hashSeed = hashSeed ^ 0x811c9dc5;
  }

  /** Connections that the last `fire` found, `hitCount` of them. */
  hits = new Int32Array(64);
  hitCount = 0;

  get size(): number {
    return this.#watches.count;
  }

  get pathCount(): number {
    return this.#paths.count;
  }

  // --------------------------------------------------------------------------------- registering

  add(connection: number, bytes: Uint8Array, start: number, end: number, mode: number): void {
    const path = this.#pathRow(bytes, start, end) || this.#addPath(bytes, start, end);
    let watch = this.#find(path, connection);
    if (watch === 0) watch = this.#addWatch(path, connection);
    const chunk = this.#watches.chunk(watch);
    const at = this.#watches.at(watch) + W.modes;
    const modes = chunk[at] as number;
    if ((mode & WatchMode.Recursive) !== 0 && (modes & WatchMode.Recursive) === 0) this.#recursive++;
    chunk[at] = modes | mode;
  }

  /** The modes of a connection on exactly this path; 0 for none. */
  modes(connection: number, bytes: Uint8Array, start: number, end: number): number {
    const path = this.#pathRow(bytes, start, end);
    const watch = path === 0 ? 0 : this.#find(path, connection);
    return watch === 0 ? 0 : (this.#watches.chunk(watch)[this.#watches.at(watch) + W.modes] as number);
  }

  /** Takes modes away. True: at least one was there. */
  remove(connection: number, bytes: Uint8Array, start: number, end: number, modes: number): boolean {
    const path = this.#pathRow(bytes, start, end);
    const watch = path === 0 ? 0 : this.#find(path, connection);
    return watch !== 0 && this.#removeModes(watch, modes);
  }

  weightOf(connection: number): number {
    return this.#weightOf[connection] ?? 0;
  }

  /** Takes up to `max` watches of a connection away. True: it has no more. */
  removeConnection(connection: number, max = Infinity): boolean {
    let watch = this.#firstOf[connection] ?? 0;
    for (let left = max; watch !== 0; left--) {
      if (left === 0) return false;
      const next = this.#watches.chunk(watch)[this.#watches.at(watch) + W.connectionNext] as number;
      this.#removeModes(watch, watchModesAll);
      watch = next;
    }
    return true;
  }

  hasConnection(connection: number): boolean {
    return (this.#firstOf[connection] ?? 0) !== 0;
  }

  // -------------------------------------------------------------------------------------- firing

  /**
   * Finds who hears of a change to the path into `hits`, and takes their one-shot watches away. A
   * connection may be there twice, once for its own path and once for an ancestor.
   */
  fire(bytes: Uint8Array, start: number, end: number): void {
    this.hitCount = 0;
    if (this.#watches.count === 0) return;
    const path = this.#pathRow(bytes, start, end);
    if (path !== 0) {
      let watch = this.#paths.chunk(path)[this.#paths.at(path) + P.first] as number;
      while (watch !== 0) {
        const chunk = this.#watches.chunk(watch);
        const at = this.#watches.at(watch);
        const next = chunk[at + W.pathNext] as number;
        this.#hit(chunk[at + W.connection] as number);
        if (((chunk[at + W.modes] as number) & WatchMode.Standard) !== 0) {
          this.#removeModes(watch, WatchMode.Standard);
        }
        watch = next;
      }
    }
    if (this.#recursive > 0) this.#fireAncestors(bytes, start, end);
  }

  /** From the root down, so that the hash of each ancestor is met on the way: one pass, however deep. */
  #fireAncestors(bytes: Uint8Array, start: number, end: number): void {
    if (end - start <= 1) return;
    let h = this.#hashSeed;
    for (let i = start; i < end; i++) {
      const byte = bytes[i] as number;
      if (byte === slash && i > start) this.#fireRecursive(hashEnd(h), bytes, start, i);
      h = Math.imul(h ^ byte, hashPrime);
      if (i === start) this.#fireRecursive(hashEnd(h), bytes, start, start + 1);
    }
  }

  #fireRecursive(hash: number, bytes: Uint8Array, start: number, end: number): void {
    const path = this.#rowOf(hash, bytes, start, end);
    if (path === 0) return;
    let watch = this.#paths.chunk(path)[this.#paths.at(path) + P.first] as number;
    while (watch !== 0) {
      const chunk = this.#watches.chunk(watch);
      const at = this.#watches.at(watch);
      if (((chunk[at + W.modes] as number) & WatchMode.Recursive) !== 0) {
        this.#hit(chunk[at + W.connection] as number);
      }
      watch = chunk[at + W.pathNext] as number;
    }
  }

  #hit(connection: number): void {
    if (this.hitCount === this.hits.length) {
      const grown = new Int32Array(this.hits.length * 2);
      grown.set(this.hits);
      this.hits = grown;
    }
    this.hits[this.hitCount++] = connection;
  }

  // ------------------------------------------------------------------------------------- showing

  /** The table may change between two of them. Rows without a watch are free ones. */
  *paths(): Generator<{ path: string; connections: number[] }> {
    for (let row = 1; row < this.#paths.end; row++) {
      const connections: number[] = [];
      for (let watch = this.#paths.chunk(row)[this.#paths.at(row) + P.first] as number; watch !== 0;) {
        const chunk = this.#watches.chunk(watch);
        const at = this.#watches.at(watch);
        connections.push(chunk[at + W.connection] as number);
        watch = chunk[at + W.pathNext] as number;
      }
      if (connections.length > 0) yield { path: this.#pathText(row), connections };
    }
  }

  /** The table may change between two of them. */
  *pathsOf(connection: number): Generator<string> {
    const cursor: Cursor = { watch: this.#firstOf[connection] ?? 0 };
    this.#cursors.add(cursor);
    try {
      while (cursor.watch !== 0) {
        const chunk = this.#watches.chunk(cursor.watch);
        const at = this.#watches.at(cursor.watch);
        cursor.watch = chunk[at + W.connectionNext] as number;
        yield this.#pathText(chunk[at + W.path] as number);
      }
    } finally {
      this.#cursors.delete(cursor);
    }
  }

  #pathText(row: number): string {
    const chunk = this.#paths.chunk(row);
    const at = this.#paths.at(row);
    const length = chunk[at + P.length] as number;
    if (length === 0) return "";
    const ref = chunk[at + P.path] as number;
    const offset = this.#slab.offset(ref);
    return textOf(this.#slab.page(ref), offset, offset + length);
  }

  // ---------------------------------------------------------------------------------------- rows

  #pathRow(bytes: Uint8Array, start: number, end: number): number {
    return this.#rowOf(hashPath(this.#hashSeed, bytes, start, end), bytes, start, end);
  }

  #rowOf(hash: number, bytes: Uint8Array, start: number, end: number): number {
    const length = end - start;
    let row = this.#pathBuckets.first(hash);
    while (row !== 0) {
      const chunk = this.#paths.chunk(row);
      const at = this.#paths.at(row);
      if (
        chunk[at + P.hash] === hash && chunk[at + P.length] === length &&
        this.#same(chunk[at + P.path] as number, bytes, start, length)
      ) {
        return row;
      }
      row = chunk[at + P.hashNext] as number;
    }
    return 0;
  }

  #same(ref: number, bytes: Uint8Array, start: number, length: number): boolean {
    if (length === 0) return true;
    const page = this.#slab.page(ref);
    const at = this.#slab.offset(ref);
    for (let i = 0; i < length; i++) if (page[at + i] !== bytes[start + i]) return false;
    return true;
  }

  #addPath(bytes: Uint8Array, start: number, end: number): number {
    const row = this.#paths.alloc();
    const chunk = this.#paths.chunk(row);
    const at = this.#paths.at(row);
    const hash = hashPath(this.#hashSeed, bytes, start, end);
    chunk[at + P.path] = this.#slab.put(bytes, start, end);
    chunk[at + P.length] = end - start;
    chunk[at + P.hash] = hash;
    this.#pathBuckets.add(row, hash);
    return row;
  }

  #find(path: number, connection: number): number {
    let watch = this.#pairBuckets.first(hashPair(path, connection));
    while (watch !== 0) {
      const chunk = this.#watches.chunk(watch);
      const at = this.#watches.at(watch);
      if (chunk[at + W.path] === path && chunk[at + W.connection] === connection) return watch;
      watch = chunk[at + W.hashNext] as number;
    }
    return 0;
  }

  #addWatch(path: number, connection: number): number {
    const watch = this.#watches.alloc();
    const chunk = this.#watches.chunk(watch);
    const at = this.#watches.at(watch);
    const pathChunk = this.#paths.chunk(path);
    const pathAt = this.#paths.at(path);
    const pathFirst = pathChunk[pathAt + P.first] as number;
    const connectionFirst = this.#firstOf[connection] ?? 0;
    chunk[at + W.path] = path;
    chunk[at + W.connection] = connection;
    chunk[at + W.pathNext] = pathFirst;
    chunk[at + W.connectionNext] = connectionFirst;
    if (pathFirst !== 0) this.#watches.chunk(pathFirst)[this.#watches.at(pathFirst) + W.pathBefore] = watch;
    if (connectionFirst !== 0) {
      this.#watches.chunk(connectionFirst)[this.#watches.at(connectionFirst) + W.connectionBefore] = watch;
    }
    pathChunk[pathAt + P.first] = watch;
    while (this.#firstOf.length <= connection) {
      this.#firstOf.push(0);
      this.#weightOf.push(0);
    }
    this.#weigh(connection, watchWeight(pathChunk[pathAt + P.length] as number));
    this.#firstOf[connection] = watch;
    this.#pairBuckets.add(watch, hashPair(path, connection));
    return watch;
  }

  #weigh(connection: number, weight: number): void {
    this.#weightOf[connection] = (this.#weightOf[connection] as number) + weight;
    this.weight += weight;
  }

  #removeModes(watch: number, modes: number): boolean {
    const chunk = this.#watches.chunk(watch);
    const at = this.#watches.at(watch);
    const had = chunk[at + W.modes] as number;
    if ((had & modes) === 0) return false;
    if ((had & modes & WatchMode.Recursive) !== 0) this.#recursive--;
    const left = had & ~modes;
    chunk[at + W.modes] = left;
    if (left === 0) this.#dropWatch(watch, chunk, at);
    return true;
  }

  #dropWatch(watch: number, chunk: Int32Array, at: number): void {
    const path = chunk[at + W.path] as number;
    const connection = chunk[at + W.connection] as number;
    const pathNext = chunk[at + W.pathNext] as number;
    const pathBefore = chunk[at + W.pathBefore] as number;
    const connectionNext = chunk[at + W.connectionNext] as number;
    const connectionBefore = chunk[at + W.connectionBefore] as number;
    this.#weigh(connection, -watchWeight(this.#paths.chunk(path)[this.#paths.at(path) + P.length] as number));
    for (const cursor of this.#cursors) if (cursor.watch === watch) cursor.watch = connectionNext;
    if (connectionBefore === 0) this.#firstOf[connection] = connectionNext;
    else {this.#watches.chunk(connectionBefore)[this.#watches.at(connectionBefore) + W.connectionNext] =
        connectionNext;}
    if (connectionNext !== 0) {
      this.#watches.chunk(connectionNext)[this.#watches.at(connectionNext) + W.connectionBefore] =
        connectionBefore;
    }
    this.#pairBuckets.remove(watch, hashPair(path, connection));
    if (pathNext !== 0) this.#watches.chunk(pathNext)[this.#watches.at(pathNext) + W.pathBefore] = pathBefore;
    if (pathBefore !== 0) {
      this.#watches.chunk(pathBefore)[this.#watches.at(pathBefore) + W.pathNext] = pathNext;
    } else {
      const pathChunk = this.#paths.chunk(path);
      const pathAt = this.#paths.at(path);
      pathChunk[pathAt + P.first] = pathNext;
      if (pathNext === 0) {
        this.#pathBuckets.remove(path, pathChunk[pathAt + P.hash] as number);
        this.#slab.drop(pathChunk[pathAt + P.path] as number);
        this.#paths.free(path);
      }
    }
    this.#watches.free(watch);
  }
}
