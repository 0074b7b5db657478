/**
 * Held links: learners that came before we know whether we lead.
 *
 * A learner of the original that is turned away comes back a hundred times a second (quorum-protocol
 * 2.8), and one that was quicker than our own decision only has to wait a moment. So while an election
 * runs its link is kept, with what it sends first.
 */
import { quorumHeldBytesMax, quorumLinksMax } from "../base/limits.ts";
import type { Link, LinkOutbox } from "../zab/link.ts";

interface Held {
  readonly link: Link;
  readonly sinceMs: number;
  bytes: Uint8Array;
}

export class HeldLinks {
  readonly #held = new Map<number, Held>();
  readonly #outbox: LinkOutbox;

  constructor(outbox: LinkOutbox) {
    this.#outbox = outbox;
  }

  add(link: Link, monoMs: number): void {
    this.#held.set(link.number, { link, sinceMs: monoMs, bytes: new Uint8Array(0) });
    if (this.#held.size <= quorumLinksMax) return;
    // Whoever keeps all of the places shall not keep a member out.
    for (const { link: oldest } of this.#held.values()) return this.#close(oldest);
  }

  bytes(number: number, bytes: Uint8Array, start: number, end: number): void {
    const held = this.#held.get(number);
    if (held === undefined) return;
    if (held.bytes.length + end - start > quorumHeldBytesMax) return this.#close(held.link);
    const more = new Uint8Array(held.bytes.length + end - start);
    more.set(held.bytes);
    more.set(bytes.subarray(start, end), held.bytes.length);
    held.bytes = more;
  }

  closed(number: number): void {
    this.#held.delete(number);
  }

  #close(link: Link): void {
    this.#held.delete(link.number);
    link.closed = true;
    this.#outbox.linksClosing.push(link);
  }

  /** Those who wait for longer than a learner would are ended. */
  tick(monoMs: number, msMax: number): void {
    for (const { link, sinceMs } of [...this.#held.values()]) if (monoMs - sinceMs > msMax) this.#close(link);
  }

  /** Somebody else leads. */
  closeAll(): void {
    for (const { link } of [...this.#held.values()]) this.#close(link);
  }

  /** We lead: they are ours. */
  release(take: (link: Link, bytes: Uint8Array) => void): void {
    const held = [...this.#held.values()];
    this.#held.clear();
    for (const { link, bytes } of held) take(link, bytes);
  }
}
