/** LatencyHistogram against the dumb way of doing it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LatencyHistogram, latencyMsMax } from "../../../src/core/base/histogram.ts";

/** The dumb one: all values, sorted. */
function truth(values: readonly number[]) {
  const sorted = values.map((v) => (v > 0 ? Math.min(v, latencyMsMax) : 0)).sort((a, b) => a - b);
  return {
    atOrUnder: (ms: number) => sorted.filter((v) => v <= ms).length,
    quantile: (q: number) =>
      sorted[Math.min(sorted.length, Math.max(1, Math.ceil(q * sorted.length))) - 1] ?? 0,
    min: sorted[0] ?? 0,
    max: sorted[sorted.length - 1] ?? 0,
    sum: values.reduce((sum, v) => sum + (v > 0 ? Math.min(v, latencyMsMax) : 0), 0),
  };
}

const latency = fc.oneof(
  fc.double({ min: 0, max: 0.1, noNaN: true }),
  fc.double({ min: 0, max: 100, noNaN: true }),
  fc.double({ min: 0, max: 2 * latencyMsMax, noNaN: true }),
  fc.integer({ min: 0, max: 40 }).map((power) => 2 ** (power - 12)),
  fc.constantFrom(0, -1, 1e-9, 1 / 1024, latencyMsMax, Infinity, -Infinity),
);

test("a histogram agrees with a sorted list of all that was recorded", () => {
  fc.assert(
    fc.property(
      fc.array(latency, { maxLength: 200 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (values, q) => {
        const histogram = new LatencyHistogram();
        for (const value of values) histogram.record(value);
        const summary = histogram.summary();
        const expected = truth(values);
        assert.equal(summary.count, values.length);
        assert.equal(summary.minMs, expected.min);
        assert.equal(summary.maxMs, expected.max);
        assert.equal(summary.sumMs, expected.sum);
        for (const bucket of summary.buckets) {
          assert.equal(
            bucket.count,
            expected.atOrUnder(bucket.leMs),
            `le ${bucket.leMs}`,
          );
        }
        const exact = expected.quantile(q);
        const told = summary.quantileMs(q);
        assert.ok(told >= exact, `quantile ${q}: told ${told}, exact ${exact}`);
        assert.ok(told <= exact * (1 + 1 / 16) + 1 / 1024, `quantile ${q}: told ${told}, exact ${exact}`);
        assert.ok(told <= summary.maxMs && told >= summary.minMs);
      },
    ),
    { numRuns: 500 },
  );
});

test("a summary does not change with what is recorded or reset later", () => {
  const histogram = new LatencyHistogram();
  histogram.record(3);
  const summary = histogram.summary();
  histogram.record(1000);
  assert.equal(summary.count, 1);
  assert.equal(summary.quantileMs(1), 3);
  histogram.reset();
  assert.equal(summary.quantileMs(1), 3);
  const fresh = histogram.summary();
  assert.deepEqual([fresh.count, fresh.sumMs, fresh.minMs, fresh.maxMs, fresh.quantileMs(0.5)], [
    0,
    0,
    0,
    0,
    0,
  ]);
});

test("not a number counts as no time at all", () => {
  const histogram = new LatencyHistogram();
  histogram.record(NaN);
  assert.deepEqual([histogram.summary().sumMs, histogram.summary().maxMs, histogram.summary().count], [
    0,
    0,
    1,
  ]);
});
