/**
 * The simulator notices rules that are broken on purpose.
 *
 * Every day the quickest of them, half on each runtime; with `--long` all, each within 1,000 seeds. Nothing but outcomes is
 * looked at (what clients are told, what members apply): looking at the disks when something is
 * acknowledged would notice some of them in the first run.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import process from "node:process";
import { plants } from "./plants.ts";
import { runSeeds } from "./simulate.ts";

const long = process.env["ZOOLET_TEST_LONG"] === "1";
/** These take more than a second or two. */
const slow: ReadonlySet<string> = new Set([
  "quotaUnenforced",
  "skipTrunc",
  "tableRaisesPzxid",
  "snapshotLosesTail",
  "epochForgotten",
]);

/** Every day each runtime runs every other one. */
const turn = "Bun" in globalThis ? 0 : 1;

for (const [index, plant] of plants.entries()) {
  if (!long && (slow.has(plant) || index % 2 !== turn)) continue;
  test(`${plant} is noticed within 1000 seeds`, { timeout: 120_000 }, () => {
    const options = { from: 1, peers: "mix", plant, failuresMax: 1, msMax: 100_000, tell: null } as const;
    const { failures, seeds } = runSeeds({ ...options, seeds: 1000, strict: false });
    assert.equal(failures.length, 1, `${seeds} seeds ran and none broke a rule`);
  });
}
