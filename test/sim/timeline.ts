/**
 * Timeline: what will happen, in the order of virtual time.
 *
 * A binary heap of moments. Two at the same time happen in the order in which they were asked for, so
 * a run depends on its seed and on nothing else. Nothing waits: time jumps to the next moment.
 */

interface Moment {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

function isBefore(a: Moment, b: Moment): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

export class Timeline {
  nowMs = 0;
  /** Moments that happened. */
  count = 0;
  readonly #heap: Moment[] = [];
  #orderNext = 0;

  after(ms: number, run: () => void): void {
    this.at(this.nowMs + ms, run);
  }

  at(atMs: number, run: () => void): void {
    const heap = this.#heap;
    const moment = { atMs: Math.max(atMs, this.nowMs), order: this.#orderNext++, run };
    let i = heap.length;
    heap.push(moment);
    while (i > 0) {
      const above = (i - 1) >> 1;
      const other = heap[above] as Moment;
      if (!isBefore(moment, other)) break;
      heap[i] = other;
      i = above;
    }
    heap[i] = moment;
  }

  /** The next moment happens. False: there is none, or it is later than `untilMs`. */
  next(untilMs: number): boolean {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined || first.atMs > untilMs) return false;
    const last = heap.pop() as Moment;
    if (heap.length > 0) this.#sink(last);
    this.nowMs = first.atMs;
    this.count++;
    first.run();
    return true;
  }

  #sink(moment: Moment): void {
    const heap = this.#heap;
    let i = 0;
    for (;;) {
      let below = 2 * i + 1;
      if (below >= heap.length) break;
      const right = below + 1;
      if (right < heap.length && isBefore(heap[right] as Moment, heap[below] as Moment)) below = right;
      const other = heap[below] as Moment;
      if (!isBefore(other, moment)) break;
      heap[i] = other;
      i = below;
    }
    heap[i] = moment;
  }
}
