/**
 * Seeds that found something, each beside what it found.
 *
 * A seed is the same story only as long as nothing in it happens otherwise, so these are no proof
 * that a mistake is gone; but they cost little, and the stories are near the places that were weak.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { repeatCommand, runSeeds } from "./simulate.ts";

const found: readonly (readonly [number, string])[] = [
  [27, "a write behind a sync in one pipeline waits for the sync"],
  [12, "a follower whose log was level already has applied all of it before it serves"],
  [553, "what a follower acknowledged before it came back is not counted after its log is cut"],
  [1509, "a round of pings ends though one that was asked is gone"],
  [6030, "a voter that promised a later epoch to another leader is let in"],
  [543, "a snapshot that was taken while the tree changed is no mismatch after a restart"],
  [2817, "a leader that steps down in the middle of its expired sessions leaves the others alone"],
  [2903, "a leader whose epoch is used up writes nothing more"],
  [300300, "a table that came while it changed is level once what lies behind it is applied"],
  [
    1004768,
    "what a client sent before it moved from an observer to the follower that it hangs on goes no further",
  ],
];

for (const [seed, claim] of found) {
  test(`seed ${seed}: ${claim}`, { timeout: 60_000 }, () => {
    const options = { from: seed, seeds: 1, peers: "mix", plant: "none", strict: true } as const;
    const { failures } = runSeeds({ ...options, failuresMax: 1, msMax: Infinity, tell: null });
    const [failure] = failures;
    const told = failure === undefined ? "" : `${failure.message}\nRepeat it: ${repeatCommand(failure)}`;
    assert.equal(failure, undefined, told);
  });
}
