/**
 * Frame cutter: a stream into frames of a 4-byte length and so many bytes.
 *
 * Room grows with what has come, not with what was announced. A length outside `1..bytesMax` ends it.
 */
import { bytesEmpty } from "../core/base/bytes.ts";

export class FrameCutter {
  readonly #bytesMax: number;
  /** Arrived, not yet whole: `#kept[0, #length)`. */
  #kept: Uint8Array = bytesEmpty;
  #length = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /**
   * Gives each frame that is whole now, as a copy, until `give` says false. Returns null, or the
   * length that cannot be.
   */
  take(bytes: Uint8Array, give: (frame: Uint8Array) => boolean): number | null {
    let from = bytes;
    let end = bytes.length;
    if (this.#length > 0) {
      this.#append(bytes, 0);
      from = this.#kept;
      end = this.#length;
    }
    let at = 0;
    while (end - at >= 4) {
      const size = ((from[at] as number) << 24) | ((from[at + 1] as number) << 16) |
        ((from[at + 2] as number) << 8) | (from[at + 3] as number);
      if (size <= 0 || size > this.#bytesMax) return size;
      if (end - at - 4 < size) break;
      const frame = from.slice(at + 4, at + 4 + size);
      at += 4 + size;
      if (!give(frame)) return null;
    }
    if (from === bytes) {
      if (at < end) this.#append(bytes, at);
    } else if (at === end) {
      this.#kept = bytesEmpty;
      this.#length = 0;
    } else if (at > 0) {
      this.#kept.copyWithin(0, at, end);
      this.#length = end - at;
    }
    return null;
  }

  #append(bytes: Uint8Array, start: number): void {
    const length = this.#length + bytes.length - start;
    if (length > this.#kept.length) {
      const room = new Uint8Array(Math.max(2 * length, 64));
      room.set(this.#kept.subarray(0, this.#length));
      this.#kept = room;
    }
    this.#kept.set(start === 0 ? bytes : bytes.subarray(start), this.#length);
    this.#length = length;
  }
}
