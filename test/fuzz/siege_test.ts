/**
 * Siege, a minute of it: everything hostile at once from one address hurts no member and no other client.
 *
 * Ten minutes by hand: see run.ts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runtimeUnderTest, zooletMissing } from "../support/zoolet.ts";
import { siege, siegeText } from "./siege.ts";

const missing = zooletMissing() ??
  (process.env["ZOOLET_TEST_LONG"] === undefined ? "a minute long; ZOOLET_TEST_LONG=1 runs it" : null);

/** What no input may make a member grow by. */
const growthMbMax = 512;
/** Generous: attackers, members and clients share the machine's cores. */
const waitMsMax = 10_000;

test("a minute of siege ends no member, moves no leader and keeps no client waiting", {
  timeout: 240_000,
  skip: missing ?? false,
}, async () => {
  const result = await siege(runtimeUnderTest(), { seed: 1, ms: 60_000, znodes: 100_000 });
  const told = siegeText(result);
  for (const { isRunning, idleMb, peakMb } of result.members) {
    assert.ok(isRunning && peakMb - idleMb < growthMbMax, told);
  }
  assert.equal(result.leaderChanges, 0, told);
  assert.ok(result.waitMsMax < waitMsMax, told);
  assert.ok(Object.values(result.told).every((count) => count > 0), told);
});
