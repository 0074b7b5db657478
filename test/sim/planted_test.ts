/**
 * The simulator notices rules that are broken on purpose, each within 1,000 seeds.
 *
 * Here nothing but outcomes is looked at (what clients are told, what members apply): looking at the
 * disks when something is acknowledged would notice the same in the first run.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { plants } from "./plan.ts";
import { runSeeds } from "./simulate.ts";

for (const plant of plants) {
  test(`${plant} is noticed within 1000 seeds`, { timeout: 120_000 }, () => {
    const options = { from: 1, peers: "mix", plant, failuresMax: 1, msMax: 100_000, tell: null } as const;
    const { failures, seeds } = runSeeds({ ...options, seeds: 1000, strict: false });
    assert.equal(failures.length, 1, `${seeds} seeds ran and none broke a rule`);
  });
}
