/**
 * Reader: a cursor over jute bytes that may lie.
 *
 * Bytes from outside are checked, never trusted: each read looks at the end first and, when the
 * bytes run out or a length is absurd, marks the reader `failed` and returns zeros from then on.
 * A record is read straight through and `failed` is asked once, at its end; no exception is thrown
 * for a hostile frame. A reader is reused (`reset`) because one is needed per request.
 * Layouts: client-protocol 1.2.
 */
import { bytesEmpty, textOf } from "../base/bytes.ts";

export class Reader {
  bytes: Uint8Array;
  at: number;
  end: number;
  /** Once true, all that was read since is meaningless. */
  failed = false;

  constructor(bytes: Uint8Array = bytesEmpty, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  reset(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
    this.failed = false;
  }

  get left(): number {
    return this.end - this.at;
  }

  #take(count: number): number {
    const at = this.at;
    if (at + count > this.end) {
      this.failed = true;
      this.at = this.end;
      return -1;
    }
    this.at = at + count;
    return at;
  }

  /** A jute boolean: every byte but 0 is true. */
  bool(): boolean {
    const at = this.#take(1);
    return at >= 0 && this.bytes[at] !== 0;
  }

  i32(): number {
    const at = this.#take(4);
    if (at < 0) return 0;
    const b = this.bytes;
    return ((b[at] as number) << 24) | ((b[at + 1] as number) << 16) | ((b[at + 2] as number) << 8) |
      (b[at + 3] as number);
  }

  /** A 64-bit number as a double: exact within ±2^53, rounded beyond, which keeps its order. */
  i64AsNumber(): number {
    const hi = this.i32();
    const lo = this.i32();
    return hi * 0x1_0000_0000 + (lo >>> 0);
  }

  i64(): bigint {
    const hi = this.i32();
    const lo = this.i32();
    return (BigInt(hi) << 32n) | BigInt(lo >>> 0);
  }

  /**
   * The length of a string or buffer that follows, its bytes skipped; -1 is null. The bytes begin at
   * `at - length` afterwards. A length that does not fit in what is left fails the reader.
   */
  span(): number {
    const length = this.i32();
    // A failed read says 0, and a loop over a claimed count must not take that for an empty element.
    if (length === -1 || this.failed) return -1;
    if (length < 0 || length > this.end - this.at) {
      this.failed = true;
      this.at = this.end;
      return -1;
    }
    this.at += length;
    return length;
  }

  /** A view, not a copy, of a buffer; null where the wire says -1. */
  buffer(): Uint8Array | null {
    const length = this.span();
    return length < 0 ? null : this.bytes.subarray(this.at - length, this.at);
  }

  string(): string | null {
    const length = this.span();
    return length < 0 ? null : textOf(this.bytes, this.at - length, this.at);
  }

  /** A vector of strings; null where the wire says -1. Other negative counts read as empty, as in the original. */
  strings(): (string | null)[] | null {
    const count = this.i32();
    if (count === -1) return null;
    const list: (string | null)[] = [];
    // Each element has at least its length, so a count that cannot fit fails before it costs memory.
    if (count * 4 > this.left) this.failed = true;
    for (let i = 0; i < count && !this.failed; i++) list.push(this.string());
    return list;
  }
}
