/**
 * Chance: all luck of a run, from its seed.
 *
 * Each concern draws from a stream of its own (`fork`), so that a change in what clients do does not
 * move the faults, and a seed stays a similar story while the core is being changed.
 */
import { Random } from "../support/random.ts";

export class Chance extends Random {
  /** A stream of its own, from this seed and a name. */
  fork(name: string): Chance {
    let seed = this.seed ^ 0x811c9dc5;
    for (let i = 0; i < name.length; i++) seed = Math.imul(seed ^ name.charCodeAt(i), 0x01000193);
    return new Chance(seed ^ (seed >>> 15));
  }

  /** 0 ≤ result < 1. */
  fraction(): number {
    return this.u32() / 0x1_0000_0000;
  }

  /** True with this probability. */
  happens(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** A whole number, both ends included. */
  between(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }

  /** Not whole: two things almost never fall on the same moment. */
  ms(from: number, to: number): number {
    return from + this.fraction() * (to - from);
  }

  /** Most often near `from`, now and then far out. */
  longTail(from: number, to: number): number {
    const x = this.fraction();
    return from + x * x * x * x * (to - from);
  }

  shuffled<T>(list: readonly T[]): T[] {
    const copy = [...list];
    for (let i = copy.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [copy[i], copy[j]] = [copy[j] as T, copy[i] as T];
    }
    return copy;
  }
}
