/**
 * Reaper: finds containers that are empty again and znodes whose TTL is over. Runs on the leader.
 *
 * Picking is loose, the txn's own checks make it safe (server-semantics 3.11). A round looks at all
 * candidates, many a tick but not a million, and hands out only as many as the pace allows; the rest wait for
 * the next tick.
 */
import { F, I, type Tree } from "../tree/tree.ts";
import { ownerTtlMs } from "../tree/stat.ts";

export interface ReaperOptions {
  readonly checkMs: number;
  readonly perMinuteMax: number;
  /** A container that never had a child goes after this; 0: never. */
  readonly neverUsedMs: number;
}

const paceMsMax = 3000;
/** So many candidates are looked at in one tick, and so many paths found and handed out. */
export const reaperLooksMax = 10_000;
const queueMax = 1000;

export class Reaper {
  readonly #tree: Tree;
  readonly #options: ReaperOptions;
  #nextMonoMs: number;
  #lastMonoMs: number;
  /** What the pace allows now; a fraction stays for the next tick. */
  #allowed = 0;
  #queue: string[] = [];
  #wallMs = 0;
  /** What is left of a round: a path, or null for a candidate that stays. */
  #round: Iterator<string | null, undefined> | null = null;

  /** The first look comes one interval after birth. */
  constructor(tree: Tree, options: ReaperOptions, bornMonoMs: number) {
    this.#tree = tree;
    this.#options = options;
    this.#nextMonoMs = bornMonoMs + options.checkMs;
    this.#lastMonoMs = bornMonoMs;
  }

  /** We lead from now on: the first look comes one interval later. */
  restart(monoMs: number): void {
    this.#nextMonoMs = monoMs + this.#options.checkMs;
    this.#lastMonoMs = monoMs;
    this.#allowed = 0;
    this.#queue = [];
    this.#round = null;
  }

  due(wallMs: number, monoMs: number): string[] {
    this.#wallMs = wallMs;
    if (this.#round === null && this.#queue.length === 0 && monoMs >= this.#nextMonoMs) {
      this.#nextMonoMs = monoMs + this.#options.checkMs;
      this.#round = this.#candidates();
    }
    for (let i = 0; this.#round !== null && i < reaperLooksMax && this.#queue.length < queueMax; i++) {
      const { done, value } = this.#round.next();
      if (done === true) this.#round = null;
      else if (value !== null) this.#queue.push(value);
    }
    // By time, not by ticks: the shell ticks as often as it likes. Time off is not caught up with.
    const elapsedMs = Math.min(monoMs - this.#lastMonoMs, paceMsMax);
    this.#lastMonoMs = monoMs;
    if (this.#queue.length === 0) {
      this.#allowed = 1;
      return [];
    }
    this.#allowed += (this.#options.perMinuteMax * elapsedMs) / 60_000;
    const count = Math.min(Math.floor(this.#allowed), queueMax);
    this.#allowed -= count;
    return this.#queue.splice(0, count);
  }

  /** The sets may change between two of them: one that goes is not met, one that comes is. */
  *#candidates(): Generator<string | null, undefined> {
    const tree = this.#tree;
    for (const row of tree.containers.keys()) yield this.#isContainerDue(row) ? tree.pathOf(row) : null;
    for (const row of tree.ttls.keys()) yield this.#isTtlDue(row) ? tree.pathOf(row) : null;
  }

  #isContainerDue(row: number): boolean {
    const tree = this.#tree;
    const { neverUsedMs } = this.#options;
    if (tree.int(row, I.children) > 0) return false;
    if (tree.int(row, I.cversion) > 0) return true;
    return neverUsedMs > 0 && this.#wallMs - tree.double(row, F.mtime) > neverUsedMs;
  }

  #isTtlDue(row: number): boolean {
    const tree = this.#tree;
    if (tree.int(row, I.children) > 0) return false;
    const ttlMs = ownerTtlMs(tree.int(row, I.ownerHi), tree.int(row, I.ownerLo));
    return this.#wallMs - tree.double(row, F.mtime) > ttlMs;
  }
}
