/**
 * Writer: jute bytes into one growing buffer.
 *
 * A connection has one; all replies of a turn go in, one write takes them out. Numbers are written
 * byte by byte: on Bun that was measured faster than a DataView, and on Deno as fast.
 */
import { bytesEmpty, bytesOf } from "../base/bytes.ts";

export class Writer {
  bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  constructor(capacity = 0) {
    this.bytes = capacity === 0 ? bytesEmpty : new Uint8Array(capacity);
  }

  /** The bytes written so far; a view that the next write may change. */
  view(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(0, this.length);
  }

  /** The bytes written so far, as a copy. */
  copy(): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(0, this.length);
  }

  clear(): void {
    this.length = 0;
  }

  /** Makes room for `count` more bytes and returns where they go; the caller writes them all. */
  room(count: number): number {
    const at = this.length;
    const need = at + count;
    if (need > this.bytes.length) this.#grow(need);
    this.length = need;
    return at;
  }

  #grow(need: number): void {
    let capacity = this.bytes.length === 0 ? 256 : this.bytes.length * 2;
    while (capacity < need) capacity *= 2;
    const grown = new Uint8Array(capacity);
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  u8(value: number): void {
    const at = this.room(1);
    this.bytes[at] = value;
  }

  bool(value: boolean): void {
    this.u8(value ? 1 : 0);
  }

  i32(value: number): void {
    const at = this.room(4);
    this.i32At(at, value);
  }

  i32At(at: number, value: number): void {
    const b = this.bytes;
    b[at] = value >>> 24;
    b[at + 1] = value >>> 16;
    b[at + 2] = value >>> 8;
    b[at + 3] = value;
  }

  /** A 64-bit number from an exact double, negative ones included. */
  i64FromNumber(value: number): void {
    const at = this.room(8);
    this.i32At(at, Math.floor(value / 0x1_0000_0000));
    this.i32At(at + 4, value | 0);
  }

  i64Halves(hi: number, lo: number): void {
    const at = this.room(8);
    this.i32At(at, hi);
    this.i32At(at + 4, lo);
  }

  i64(value: bigint): void {
    this.i64Halves(Number(BigInt.asIntN(32, value >> 32n)), Number(BigInt.asIntN(32, value)));
  }

  raw(bytes: Uint8Array): void {
    const at = this.room(bytes.length);
    this.bytes.set(bytes, at);
  }

  /** `bytes[start, end)`. Short runs, most names and values, are copied without a view object. */
  rawRange(bytes: Uint8Array, start: number, end: number): void {
    const count = end - start;
    const at = this.room(count);
    const to = this.bytes;
    if (count <= 160) { for (let i = 0; i < count; i++) to[at + i] = bytes[start + i] as number; }
    else to.set(bytes.subarray(start, end), at);
  }

  buffer(bytes: Uint8Array | null): void {
    if (bytes === null) return this.i32(-1);
    this.i32(bytes.length);
    this.raw(bytes);
  }

  string(text: string | null): void {
    if (text === null) return this.i32(-1);
    this.buffer(bytesOf(text));
  }

  strings(list: readonly string[] | null): void {
    if (list === null) return this.i32(-1);
    this.i32(list.length);
    for (const text of list) this.string(text);
  }
}
