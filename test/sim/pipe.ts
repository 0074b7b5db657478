/**
 * Pipe: one direction of one connection, first in, first out.
 *
 * What is written is cut into pieces, and each piece arrives later than the one before it. While the
 * way is stalled, or the receiver takes nothing, pieces wait and none is lost; when the connection
 * breaks, all that has not arrived is.
 */
import type { Chance } from "./prng.ts";
import type { Timeline } from "./timeline.ts";

export interface PipeEnds {
  /** Does the way carry anything, and does the receiver take it? */
  isOpen(): boolean;
  deliver(bytes: Uint8Array): void;
  /** The other side closed in order, and all that it wrote has arrived. */
  ended(): void;
  /** Some of what was written has left. */
  moved(): void;
}

export interface PipeTraits {
  readonly delayMsMin: number;
  readonly delayMsMax: number;
  /** Pieces that one write may be cut into; 1 never cuts. */
  readonly cutsMax: number;
}

export class Pipe {
  readonly #timeline: Timeline;
  readonly #chance: Chance;
  readonly #traits: PipeTraits;
  readonly #ends: PipeEnds;
  /** Not arrived; null is the end. */
  readonly #queue: { readonly bytes: Uint8Array | null; readonly atMs: number }[] = [];
  #lastAtMs = 0;
  #isPumping = false;
  /** Bytes written and not arrived. */
  bytes = 0;
  isDead = false;

  constructor(timeline: Timeline, chance: Chance, traits: PipeTraits, ends: PipeEnds) {
    this.#timeline = timeline;
    this.#chance = chance;
    this.#traits = traits;
    this.#ends = ends;
  }

  write(bytes: Uint8Array): void {
    if (this.isDead) return;
    const pieces = this.#traits.cutsMax <= 1 ? 1 : this.#chance.between(1, this.#traits.cutsMax);
    let start = 0;
    for (let i = 1; i <= pieces && start < bytes.length; i++) {
      const end = i === pieces ? bytes.length : this.#chance.between(start + 1, bytes.length);
      this.#put(pieces === 1 ? bytes : bytes.subarray(start, end));
      start = end;
    }
    this.bytes += bytes.length;
  }

  /** Something is due and was not taken. */
  get isWaiting(): boolean {
    const head = this.#queue[0];
    return head !== undefined && head.atMs <= this.#timeline.nowMs && !this.#isPumping;
  }

  /** Nothing is written any more; the other side hears of it after all that was. */
  end(): void {
    if (!this.isDead) this.#put(null);
  }

  kill(): void {
    this.isDead = true;
    this.#queue.length = 0;
    this.bytes = 0;
  }

  #put(bytes: Uint8Array | null): void {
    const { delayMsMin, delayMsMax } = this.#traits;
    const atMs = Math.max(
      this.#lastAtMs,
      this.#timeline.nowMs + this.#chance.longTail(delayMsMin, delayMsMax),
    );
    this.#lastAtMs = atMs;
    this.#queue.push({ bytes, atMs });
    this.#timeline.at(atMs, () => this.pump());
  }

  /** Delivers what is due, if the way is open. */
  pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    for (;;) {
      const head = this.#queue[0];
      if (head === undefined || head.atMs > this.#timeline.nowMs || !this.#ends.isOpen()) break;
      this.#queue.shift();
      if (head.bytes === null) {
        this.kill();
        this.#ends.ended();
        break;
      }
      this.bytes -= head.bytes.length;
      this.#ends.deliver(head.bytes);
      if (!this.isDead) this.#ends.moved();
    }
    this.#isPumping = false;
  }
}
