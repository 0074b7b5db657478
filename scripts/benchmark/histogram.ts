/**
 * Histogram: latencies in logarithmic buckets, 64 to a power of two, so a percentile is right within
 * 1.6 % and recording one costs a few instructions. Times are in microseconds.
 */

const perPower = 64;
const bucketsMax = perPower * 26;

/** Tenths of a microsecond, lifted by 64 so that the smallest have a bucket each. */
function bucketOf(us: number): number {
  const value = Math.min(us * 10 + perPower, 0x7fffffff) | 0;
  const power = 31 - Math.clz32(value);
  return Math.min(bucketsMax - 1, (power - 6) * perPower + ((value >>> (power - 6)) & (perPower - 1)));
}

function usOf(bucket: number): number {
  const power = Math.floor(bucket / perPower);
  return ((perPower + bucket % perPower) * 2 ** power - perPower) / 10;
}

/** Bucket and count, the empty ones left out: how a histogram travels between processes. */
export type SparseHistogram = [number, number][];

export class Histogram {
  readonly #counts = new Float64Array(bucketsMax);
  count = 0;
  maxUs = 0;

  record(us: number): void {
    const bucket = bucketOf(us);
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.count++;
    if (us > this.maxUs) this.maxUs = us;
  }

  /** 0 when nothing was recorded. */
  percentileUs(share: number): number {
    const target = Math.floor(this.count * share);
    let sum = 0;
    for (let bucket = 0; bucket < bucketsMax; bucket++) {
      sum += this.#counts[bucket] as number;
      if (sum > target) return usOf(bucket);
    }
    return this.maxUs;
  }

  sparse(): SparseHistogram {
    const pairs: SparseHistogram = [];
    this.#counts.forEach((count, bucket) => {
      if (count > 0) pairs.push([bucket, count]);
    });
    return pairs;
  }

  add(pairs: SparseHistogram): void {
    for (const [bucket, count] of pairs) {
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count;
      this.count += count;
      this.maxUs = Math.max(this.maxUs, usOf(bucket));
    }
  }
}
