/**
 * Doubts: what a member may not believe of itself.
 *
 * It `lacks` txns that it has acknowledged, where its disk lost them; or its tree is `wrong`, where a
 * txn left another tree here than where it was written. Either way the others know better. It takes
 * everything from a leader whom they elect without it: its vote names no zxid, so that it neither
 * chooses nor is chosen, and its ACKEPOCH counts for nobody.
 *
 * A member that lacks something never votes before it is level. One whose tree is wrong has its whole
 * log, and the others may not be enough without it: it stands back for a while, once, and then takes part.
 * Who is wrong, it or its leader, is not to be known here; so a tree that is wrong again without having
 * been right in between is not asked for again at once.
 */
import type { Applier } from "../ops/applier.ts";

/**
 * A learner's tree that is wrong stays so. Leaders of the original tell for a txn or three, now and then, a
 * digest that is nobody's, and are right again after; that is told, and moves nobody.
 */
const wrongInRowMin = 8;
const standsBackMs = 10_000;
/** Where it was right in between, and where it was not. */
const repairAgainMs = 60_000;
const repairInVainMs = 600_000;

export class Doubts {
  readonly #applier: Applier;
  /** What is missing on the disk, in words; null for nothing. */
  lacks: string | null = null;
  /** The tree is not what the txns say, in words; null where it is. */
  wrong: string | null = null;
  #standsBackUntilMs = -Infinity;
  #repairAtMs = -Infinity;
  #asks = false;
  #rightBefore = -1;

  constructor(applier: Applier) {
    this.#applier = applier;
  }

  /** True: it should leave what it does, and take all from a leader. `isSure`: no leader's word is needed for it. */
  treeIsWrong(found: string, monoMs: number, isSure: boolean): boolean {
    this.wrong = found;
    const { digestsRight, digestsWrongInRow } = this.#applier;
    if (!isSure && digestsWrongInRow < wrongInRowMin) return false;
    const pauseMs = digestsRight === this.#rightBefore ? repairInVainMs : repairAgainMs;
    if (monoMs - this.#repairAtMs < pauseMs) return false;
    this.#rightBefore = digestsRight;
    this.#repairAtMs = monoMs;
    this.#standsBackUntilMs = monoMs + standsBackMs;
    this.#asks = true;
    return true;
  }

  /** A txn of a leader's left the tree that it left there. */
  treeIsRight(): void {
    this.wrong = null;
  }

  /** It takes no part in electing a leader. */
  abstains(monoMs: number): boolean {
    return this.lacks !== null || (this.#asks && monoMs < this.#standsBackUntilMs);
  }

  /** A leader is there: is everything asked of it? Where only the tree is wrong, once. */
  takeAsks(): boolean {
    const asks = this.lacks !== null || this.#asks;
    this.#asks = false;
    return asks;
  }

  /** We have what an established leader has. `anew`: all of it was taken from there. */
  level(anew: boolean): void {
    if (!anew) return;
    this.lacks = null;
    this.wrong = null;
  }
}
