/**
 * FrameSplitter: from chunks as the network cut them to frames as the server wrote them.
 *
 * Most chunks hold whole frames, which leave as views without a copy. A frame in pieces is put
 * together once, when its last byte is there. Nothing is set aside on the word of a length alone.
 */
export class FrameSplitter {
  readonly #frameBytesMax: number;
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  /** Bytes, length field included, that must be there before it is worth looking again. */
  #needBytes = 4;

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
  }

  /** Bytes of a frame that has begun and not ended. */
  get partialBytes(): number {
    return this.#pieceBytes;
  }

  /**
   * Hands each payload that is now complete to `take`, until it returns false, which drops the rest.
   * Returns the length that cannot be a frame's, or null.
   */
  push(chunk: Uint8Array, take: (payload: Uint8Array) => boolean): number | null {
    let bytes = chunk;
    if (this.#pieceBytes > 0) {
      this.#pieces.push(chunk);
      this.#pieceBytes += chunk.length;
      if (this.#pieceBytes < this.#needBytes) return null;
      bytes = joined(this.#pieces, this.#pieceBytes);
    }
    let at = 0;
    this.#needBytes = 4;
    while (bytes.length - at >= 4) {
      const length = lengthAt(bytes, at);
      if (length < 0 || length > this.#frameBytesMax) return length;
      this.#needBytes = 4 + length;
      if (bytes.length - at < this.#needBytes) break;
      const payload = bytes.subarray(at + 4, at + this.#needBytes);
      at += this.#needBytes;
      this.#needBytes = 4;
      if (!take(payload)) return null;
    }
    this.#pieces = at < bytes.length ? [bytes.subarray(at)] : [];
    this.#pieceBytes = bytes.length - at;
    return null;
  }
}

function lengthAt(b: Uint8Array, at: number): number {
  return ((b[at] as number) << 24) | ((b[at + 1] as number) << 16) | ((b[at + 2] as number) << 8) |
    (b[at + 3] as number);
}

function joined(pieces: readonly Uint8Array[], count: number): Uint8Array {
  const all = new Uint8Array(count);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
