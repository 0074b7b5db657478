/**
 * Slab: many small byte strings packed into few large arrays.
 *
 * A Uint8Array of its own costs more than the 100 bytes that a znode holds. Cells come in 40 size
 * classes, at most a quarter apart; a page holds a power of two of cells of one class. A reference
 * is one 32-bit number: class in the high 6 bits, cell in the low 26. Reference 0 is the empty
 * string. What exceeds the largest class is an array of its own.
 */
import { assert } from "./assert.ts";

const sizes: number[] = [];
for (let size = 16; size <= 128; size += 16) sizes.push(size);
for (let base = 128; base < 65536; base *= 2) for (let i = 1; i <= 4; i++) sizes.push(base + (base / 4) * i);
const largestCell = sizes[sizes.length - 1] as number;
const largeClass = 63;
const pageBytes = 64 << 10;
const indexBits = 26;
const indexMask = (1 << indexBits) - 1;
assert(sizes.length < largeClass, "classes fit in 6 bits");

/** Class by length in steps of 16, up to 1,024: nearly every name and value. */
const classOf16 = new Uint8Array(65);
for (let i = 0; i < classOf16.length; i++) classOf16[i] = sizes.findIndex((size) => size >= i * 16);

interface SizeClass {
  readonly bytes: number;
  readonly shift: number;
  readonly pages: Uint8Array[];
  /** Next cell never used. Cell 0 of class 0 is skipped so that no reference is 0. */
  next: number;
  /** Freed cells; reused last in, first out, while still warm. */
  readonly free: number[];
}

export class Slab {
  readonly #classes: SizeClass[];
  readonly #large: (Uint8Array | null)[] = [];
  readonly #largeFree: number[] = [];

  constructor() {
    this.#classes = sizes.map((bytes, i) => {
      const shift = Math.max(0, Math.floor(Math.log2(pageBytes / bytes)));
      return { bytes, shift, pages: [], next: i === 0 ? 1 : 0, free: [] };
    });
  }

  static classOf(length: number): number {
    if (length <= 1024) return classOf16[(length + 15) >> 4] as number;
    if (length > largestCell) return largeClass;
    let at = classOf16[64] as number;
    while ((sizes[at] as number) < length) at++;
    return at;
  }

  /** Keeps a copy of `bytes[start, end)`. */
  put(bytes: Uint8Array, start: number, end: number): number {
    const length = end - start;
    if (length === 0) return 0;
    const cls = Slab.classOf(length);
    if (cls === largeClass) return this.#putLarge(bytes.slice(start, end));
    const c = this.#classes[cls] as SizeClass;
    let index = c.free.pop();
    if (index === undefined) {
      index = c.next++;
      assert(index <= indexMask, "a size class has room");
      if (index >> c.shift === c.pages.length) c.pages.push(new Uint8Array(c.bytes << c.shift));
    }
    const ref = (cls << indexBits) | index;
    this.#fill(ref, bytes, start, length);
    return ref;
  }

  #putLarge(copy: Uint8Array): number {
    const index = this.#largeFree.pop() ?? this.#large.length;
    this.#large[index] = copy;
    return (largeClass << indexBits) | index;
  }

  #fill(ref: number, bytes: Uint8Array, start: number, length: number): void {
    const page = this.page(ref);
    const at = this.offset(ref);
    if (length <= 160) { for (let i = 0; i < length; i++) page[at + i] = bytes[start + i] as number; }
    else page.set(bytes.subarray(start, start + length), at);
  }

  /** Puts other bytes in the place of `ref`, whose length was `lengthOld`; the cell is kept where it fits. */
  replace(ref: number, lengthOld: number, bytes: Uint8Array, start: number, end: number): number {
    const length = end - start;
    if (ref !== 0 && length > 0) {
      const cls = ref >>> indexBits;
      if (cls !== largeClass && cls === Slab.classOf(length)) {
        this.#fill(ref, bytes, start, length);
        return ref;
      }
    }
    if (lengthOld > 0) this.drop(ref);
    return this.put(bytes, start, end);
  }

  drop(ref: number): void {
    if (ref === 0) return;
    const cls = ref >>> indexBits;
    const index = ref & indexMask;
    if (cls === largeClass) {
      this.#large[index] = null;
      this.#largeFree.push(index);
    } else (this.#classes[cls] as SizeClass).free.push(index);
  }

  /** The array that holds `ref`; its bytes start at `offset(ref)`. */
  page(ref: number): Uint8Array {
    const cls = ref >>> indexBits;
    const index = ref & indexMask;
    if (cls === largeClass) return this.#large[index] as Uint8Array;
    const c = this.#classes[cls] as SizeClass;
    return c.pages[index >> c.shift] as Uint8Array;
  }

  offset(ref: number): number {
    const cls = ref >>> indexBits;
    if (cls === largeClass) return 0;
    const c = this.#classes[cls] as SizeClass;
    return (ref & ((1 << c.shift) - 1)) * c.bytes;
  }
}
