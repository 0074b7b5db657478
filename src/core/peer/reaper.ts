/**
 * Reaper: finds containers that are empty again and znodes whose TTL is over. Runs on the leader.
 *
 * Picking is loose, the txn's own checks make it safe (server-semantics 3.11). A round looks at all
 * candidates but hands out only as many as the pace allows; the rest wait for the next tick.
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

export class Reaper {
  readonly #tree: Tree;
  readonly #options: ReaperOptions;
  #nextMonoMs: number;
  #lastMonoMs: number;
  /** What the pace allows now; a fraction stays for the next tick. */
  #allowed = 0;
  #queue: string[] = [];

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
  }

  due(wallMs: number, monoMs: number): string[] {
    if (this.#queue.length === 0 && monoMs >= this.#nextMonoMs) {
      this.#nextMonoMs = monoMs + this.#options.checkMs;
      this.#look(wallMs);
    }
    // By time, not by ticks: the shell ticks as often as it likes. Time off is not caught up with.
    const elapsedMs = Math.min(monoMs - this.#lastMonoMs, paceMsMax);
    this.#lastMonoMs = monoMs;
    if (this.#queue.length === 0) {
      this.#allowed = 1;
      return [];
    }
    this.#allowed += (this.#options.perMinuteMax * elapsedMs) / 60_000;
    const count = Math.floor(this.#allowed);
    this.#allowed -= count;
    return this.#queue.splice(0, count);
  }

  #look(wallMs: number): void {
    const tree = this.#tree;
    const { neverUsedMs } = this.#options;
    for (const row of tree.containers) {
      if (tree.int(row, I.children) > 0) continue;
      const used = tree.int(row, I.cversion) > 0;
      if (used || (neverUsedMs > 0 && wallMs - tree.double(row, F.mtime) > neverUsedMs)) {
        this.#queue.push(tree.pathOf(row));
      }
    }
    for (const row of tree.ttls) {
      if (tree.int(row, I.children) > 0) continue;
      const ttlMs = ownerTtlMs(tree.int(row, I.ownerHi), tree.int(row, I.ownerLo));
      if (wallMs - tree.double(row, F.mtime) > ttlMs) this.#queue.push(tree.pathOf(row));
    }
  }
}
