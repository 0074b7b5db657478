/**
 * Backoff: how long to wait before the next try. Doubles from `msMin` to `msMax`; success resets it.
 */
export class Backoff {
  readonly #msMin: number;
  readonly #msMax: number;
  #ms: number;

  constructor(msMin: number, msMax: number) {
    this.#msMin = msMin;
    this.#msMax = msMax;
    this.#ms = msMin;
  }

  next(): number {
    const ms = this.#ms;
    this.#ms = Math.min(ms * 2, this.#msMax);
    return ms;
  }

  reset(): void {
    this.#ms = this.#msMin;
  }
}
