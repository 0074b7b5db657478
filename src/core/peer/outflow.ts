/**
 * Outflow: what one connection still has to send, and what all of them together have.
 *
 * Replies and short events are encoded into `out`. What should not be copied for each reader, or would
 * make `out` grow without end, stands before it as pieces:
 *
 * ```
 *  socket ◄── piece, piece, … ◄── out
 *  not taken    shared by their      replies and
 *  by the kernel  readers            short events
 * ```
 *
 * Always true: `UnsentTotal.bytes` is what all connections keep in memory, up to what was written to
 * `out` since `count`; a piece is in it once, however many have to send it.
 */
import { bytesEmpty } from "../base/bytes.ts";
import { Piece } from "../base/piece.ts";
import { Writer } from "../wire/writer.ts";

/** From here on an event is worth a piece of its own, also behind replies. */
const longBytes = 4096;
/** Beyond this `out` becomes a piece: an array that doubles would waste as much as it holds. */
const outBytesMax = 256 << 10;
/** Short pieces leave together, in one write of up to this. */
const gatherBytesMax = 64 << 10;
/** What a piece costs beside its bytes, and what each that has to send it pays for its place, about. */
const pieceCostBytes = 256;
const placeCostBytes = 16;
/** A buffer above this is let go after use. */
const keptBytesMax = 64 << 10;

export class UnsentTotal {
  bytes = 0;
}

export class Outflow {
  readonly out = new Writer();
  readonly #all: UnsentTotal;
  #pieces: Piece[] = [];
  #head = 0;
  #pieceBytes = 0;
  #socketBytes = 0;
  #counted = 0;
  /** `out` was handed to the socket and not settled. */
  #lent = false;
  #retired = false;

  constructor(all: UnsentTotal) {
    this.#all = all;
  }

  /** Bytes that this client did not take. */
  get owed(): number {
    return this.#pieceBytes + this.out.length + this.#socketBytes;
  }

  /** Adds an event; `shared` are the same bytes, where more than one hears it. */
  hear(event: Writer, shared: Piece | null): void {
    const { out } = this;
    if (shared !== null && (out.length === 0 || event.length >= longBytes)) {
      this.#seal();
      this.add(shared);
      return;
    }
    out.rawRange(event.bytes, 0, event.length);
    if (out.length > outBytesMax) this.#seal();
  }

  add(piece: Piece): void {
    this.#pieces.push(piece);
    this.#pieceBytes += piece.bytes.length;
    if (piece.readers++ === 0) this.#all.bytes += piece.bytes.length + pieceCostBytes;
  }

  #seal(): void {
    if (this.out.length === 0) return;
    this.add(new Piece(this.out.copy()));
    this.out.clear();
  }

  /** Brings the total up to date with what was written to `out`. */
  count(): void {
    if (this.#retired) return;
    const own = this.out.length + this.#socketBytes + (this.#pieces.length - this.#head) * placeCostBytes;
    this.#all.bytes += own - this.#counted;
    this.#counted = own;
  }

  /** What is to be written to the socket next, or null. `settle` must follow before anything else. */
  take(): Uint8Array | null {
    const first = this.#pieces[this.#head];
    if (first === undefined) {
      if (this.out.length === 0) return null;
      this.#lent = true;
      return this.out.view();
    }
    if (this.#head + 1 === this.#pieces.length && this.out.length === 0) return this.#shift().bytes;
    let end = this.#head + 1;
    let bytes = first.bytes.length;
    for (let piece = this.#pieces[end]; piece !== undefined; piece = this.#pieces[++end]) {
      if (bytes + piece.bytes.length > gatherBytesMax) break;
      bytes += piece.bytes.length;
    }
    const withOut = end === this.#pieces.length && this.out.length > 0 &&
      bytes + this.out.length <= gatherBytesMax;
    if (end === this.#head + 1 && !withOut) {
      this.#shift();
      return first.bytes;
    }
    const w = new Writer(withOut ? bytes + this.out.length : bytes);
    for (let left = end - this.#head; left > 0; left--) w.raw(this.#shift().bytes);
    if (withOut) {
      w.rawRange(this.out.bytes, 0, this.out.length);
      this.out.clear();
    }
    return w.bytes;
  }

  #shift(): Piece {
    const piece = this.#pieces[this.#head++] as Piece;
    this.#pieceBytes -= piece.bytes.length;
    if (!this.#retired) this.#release(piece);
    if (this.#head === this.#pieces.length) {
      // Most events find nothing before them: no new list for each of those.
      if (this.#head > 64) this.#pieces = [];
      else this.#pieces.length = 0;
      this.#head = 0;
    } else if (this.#head >= 1024 && this.#head * 2 > this.#pieces.length) {
      this.#pieces = this.#pieces.slice(this.#head);
      this.#head = 0;
    }
    return piece;
  }

  #release(piece: Piece): void {
    if (--piece.readers === 0) this.#all.bytes -= piece.bytes.length + pieceCostBytes;
  }

  /** So many bytes that were taken are still with the socket. */
  settle(socketBytes: number): void {
    this.#socketBytes = socketBytes;
    if (this.#lent) {
      this.#lent = false;
      // Taken whole by the kernel, the array is ours again; else it belongs to the socket now.
      if (socketBytes > 0 || this.out.bytes.length > keptBytesMax) this.out.bytes = bytesEmpty;
      this.out.clear();
    }
    this.count();
  }

  /** Everything that is to be sent, at once: for a shell whose sockets take all. */
  takeAll(): Uint8Array {
    const all = new Writer();
    for (let bytes = this.take(); bytes !== null; bytes = this.take()) {
      all.raw(bytes);
      this.settle(0);
    }
    return all.copy();
  }

  /** Nobody is there to take it. */
  drop(): void {
    while (this.#pieces.length > 0) this.#shift();
    this.out.bytes = bytesEmpty;
    this.out.clear();
    this.#lent = false;
    this.#socketBytes = 0;
    this.count();
  }

  /** The connection is over and counts no more, though what is left may still be sent. */
  retire(): void {
    if (this.#retired) return;
    for (let i = this.#head; i < this.#pieces.length; i++) this.#release(this.#pieces[i] as Piece);
    this.#all.bytes -= this.#counted;
    this.#counted = 0;
    this.#retired = true;
  }
}
