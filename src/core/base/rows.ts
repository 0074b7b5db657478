/**
 * Rows: fixed-size records in typed arrays, addressed by a small integer.
 *
 * A million znodes or watches as JavaScript objects cost hundreds of bytes each and minutes of
 * garbage collection; as rows they cost what they hold, and the collector never looks inside.
 * A row is `strideInts` 32-bit numbers, of which aligned pairs may be used as doubles. Rows live in
 * chunks, so growing never copies. Row 0 is never given out: it means none.
 */
import { assert } from "./assert.ts";

const chunkShift = 11;
const chunkMask = (1 << chunkShift) - 1;

export class Rows {
  /** Chunk `row >> 11` holds the row at `(row & 2047) * strideInts`. */
  readonly i32: Int32Array[] = [];
  readonly f64: Float64Array[] = [];
  readonly stride: number;
  /** Rows in use. */
  count = 0;
  #next = 1;
  #free = 0;

  constructor(strideInts: number) {
    assert(strideInts % 2 === 0, "a row starts on a double");
    this.stride = strideInts;
    this.#addChunk();
  }

  static chunkOf(row: number): number {
    return row >> chunkShift;
  }

  #addChunk(): void {
    const buffer = new ArrayBuffer((1 << chunkShift) * this.stride * 4);
    this.i32.push(new Int32Array(buffer));
    this.f64.push(new Float64Array(buffer));
  }

  /** A row of zeros. */
  alloc(): number {
    this.count++;
    const row = this.#free;
    if (row !== 0) {
      const chunk = this.chunk(row);
      const at = this.at(row);
      this.#free = chunk[at] as number;
      chunk.fill(0, at, at + this.stride);
      return row;
    }
    const fresh = this.#next++;
    if (fresh >> chunkShift === this.i32.length) this.#addChunk();
    return fresh;
  }

  free(row: number): void {
    assert(row > 0 && row < this.#next, "the row was given out");
    this.chunk(row)[this.at(row)] = this.#free;
    this.#free = row;
    this.count--;
  }

  chunk(row: number): Int32Array {
    return this.i32[row >> chunkShift] as Int32Array;
  }

  chunk64(row: number): Float64Array {
    return this.f64[row >> chunkShift] as Float64Array;
  }

  /** Where the row starts in its chunk, in 32-bit numbers. */
  at(row: number): number {
    return (row & chunkMask) * this.stride;
  }

  /** One past the highest row ever given out. */
  get end(): number {
    return this.#next;
  }
}
