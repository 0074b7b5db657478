/**
 * Joined bytes: what came over a link, behind what was left of it before.
 *
 * A packet comes in pieces, a long one in hundreds. What is there of it is kept in one growing buffer,
 * so that a packet of n bytes costs n, and not n for each piece.
 */
import { bytesEmpty } from "../base/bytes.ts";
import { Writer } from "../wire/writer.ts";

/** A buffer above this is let go once its packet was read. */
const keptBytesMax = 64 << 10;

export class JoinedBytes {
  bytes: Uint8Array = bytesEmpty;
  /** Where what was not read yet begins and ends. */
  at = 0;
  end = 0;
  readonly #left = new Writer();

  /** `bytes[start, end)` came: it stands behind what was left. */
  join(bytes: Uint8Array, start: number, end: number): void {
    const left = this.#left;
    if (left.length === 0) {
      this.bytes = bytes;
      this.at = start;
      this.end = end;
      return;
    }
    left.rawRange(bytes, start, end);
    this.bytes = left.bytes;
    this.at = 0;
    this.end = left.length;
  }

  /** Nothing more can be read: what is left is kept for the next time. */
  keep(): void {
    const left = this.#left;
    const { bytes, at, end } = this;
    this.bytes = bytesEmpty;
    if (bytes === left.bytes) {
      if (at > 0) bytes.copyWithin(0, at, end);
      left.length = end - at;
    } else left.rawRange(bytes, at, end);
    if (left.length === 0 && left.bytes.length > keptBytesMax) this.drop();
  }

  /** Nothing of it is wanted any more. */
  drop(): void {
    this.#left.bytes = bytesEmpty;
    this.#left.length = 0;
  }
}
