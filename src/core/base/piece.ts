/**
 * Piece: bytes that wait to be sent, perhaps to many. They are in memory once, and are counted once for
 * as long as somebody still has to send them.
 */
export class Piece {
  readonly bytes: Uint8Array;
  /** How many still have to send it. */
  readers = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}
