/**
 * Buckets: the heads of a hash table over rows, which grows by one bucket at a time.
 *
 * A table that doubles moves everything that is in it within one call: a second at eight million
 * znodes. Here each addition past the load splits one bucket in two (linear hashing, Litwin 1980), so
 * no call ever does more than another. Buckets lie in chunks, so growing never copies.
 *
 * Rows of one bucket hang together by a field of theirs, `nextField`; `hashOf` tells a row's hash again.
 * Row 0 is none.
 */
import type { Rows } from "./rows.ts";

const chunkShift = 14;
const chunkMask = (1 << chunkShift) - 1;
const bucketsAtFirst = 256;
/** Neighbours are split together: their rows come into the processor's cache side by side. */
const splitsAtOnce = 32;

/** A row's hash; the row lies in `chunk` from `at` on. */
export type HashOf = (chunk: Int32Array, at: number) => number;

export class Buckets {
  readonly #rows: Rows;
  readonly #nextField: number;
  readonly #hashOf: HashOf;
  readonly #chunks: Int32Array[] = [new Int32Array(1 << chunkShift)];
  /** Buckets in use: those from `size` on are still one with the bucket of half the mask. */
  #size = bucketsAtFirst;
  #mask = bucketsAtFirst - 1;
  #count = 0;

  constructor(rows: Rows, nextField: number, hashOf: HashOf) {
    this.#rows = rows;
    this.#nextField = nextField;
    this.#hashOf = hashOf;
  }

  get size(): number {
    return this.#size;
  }

  #bucketOf(hash: number): number {
    const bucket = hash & this.#mask;
    return bucket < this.#size ? bucket : bucket & (this.#mask >> 1);
  }

  /** The first row of a hash's bucket. */
  first(hash: number): number {
    let bucket = hash & this.#mask;
    if (bucket >= this.#size) bucket &= this.#mask >> 1;
    return (this.#chunks[bucket >> chunkShift] as Int32Array)[bucket & chunkMask] as number;
  }

  /** The first row of a bucket by number, up to `size`. */
  at(bucket: number): number {
    return (this.#chunks[bucket >> chunkShift] as Int32Array)[bucket & chunkMask] as number;
  }

  #set(bucket: number, row: number): void {
    (this.#chunks[bucket >> chunkShift] as Int32Array)[bucket & chunkMask] = row;
  }

  #next(row: number): number {
    return this.#rows.chunk(row)[this.#rows.at(row) + this.#nextField] as number;
  }

  #setNext(row: number, next: number): void {
    this.#rows.chunk(row)[this.#rows.at(row) + this.#nextField] = next;
  }

  add(row: number, hash: number): void {
    if (++this.#count > this.#size) { for (let i = 0; i < splitsAtOnce; i++) this.#split(); }
    const bucket = this.#bucketOf(hash);
    this.#setNext(row, this.at(bucket));
    this.#set(bucket, row);
  }

  /** Takes a row out. False: it was not there. */
  remove(row: number, hash: number): boolean {
    const bucket = this.#bucketOf(hash);
    let before = 0;
    let seek = this.at(bucket);
    while (seek !== row) {
      if (seek === 0) return false;
      before = seek;
      seek = this.#next(seek);
    }
    if (before === 0) this.#set(bucket, this.#next(row));
    else this.#setNext(before, this.#next(row));
    this.#count--;
    return true;
  }

  /** One bucket more: of the rows of its other half those that belong here move. */
  #split(): void {
    const fresh = this.#size++;
    if (fresh > this.#mask) this.#mask = this.#mask * 2 + 1;
    if (fresh >> chunkShift === this.#chunks.length) this.#chunks.push(new Int32Array(1 << chunkShift));
    const mask = this.#mask;
    const old = fresh & (mask >> 1);
    const rows = this.#rows;
    const nextField = this.#nextField;
    let stay = 0;
    let move = 0;
    for (let row = this.at(old); row !== 0;) {
      const chunk = rows.chunk(row);
      const at = rows.at(row);
      const next = chunk[at + nextField] as number;
      if ((this.#hashOf(chunk, at) & mask) === fresh) {
        chunk[at + nextField] = move;
        move = row;
      } else {
        chunk[at + nextField] = stay;
        stay = row;
      }
      row = next;
    }
    this.#set(old, stay);
    this.#set(fresh, move);
  }
}
