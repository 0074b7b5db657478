/**
 * Leaders: at most one established leader for each epoch, over the whole run (Leadership1 and 2 of
 * quorum-protocol 11.2).
 */
import { Violation } from "../violation.ts";

export class Leaders {
  readonly #byEpoch = new Map<number, number>();

  /** `sid` leads and serves in this epoch. True: that is news. */
  established(sid: number, epoch: number): boolean {
    const known = this.#byEpoch.get(epoch);
    if (known === undefined) {
      this.#byEpoch.set(epoch, sid);
      return true;
    }
    if (known !== sid) {
      throw new Violation("one leader an epoch", `${sid} leads epoch ${epoch}, as ${known} did`);
    }
    return false;
  }

  get count(): number {
    return this.#byEpoch.size;
  }
}
