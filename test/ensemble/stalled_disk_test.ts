/**
 * A disk that is silent for 20 s, on a leader, on a follower, on two followers of five: the others go on.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runtimeUnderTest } from "../support/zoolet.ts";
import { type Held, stallDisks, type StallOptions } from "./stalled_disk.ts";

const skip = process.env["ZOOLET_TEST_LONG"] === "1" ? false : "takes long: ZOOLET_TEST_LONG=1 runs it";
const large = { dataBytes: 100_000, inFlight: 20 };

interface Story extends Partial<StallOptions> {
  readonly name: string;
  readonly held: Held;
  /** Most that writes may stop for; a change of leaders is in it where one is due. */
  readonly pauseMsMax: number;
  readonly moves: boolean;
}

const stories: readonly Story[] = [
  { name: "the leader's", held: "leader", pauseMsMax: 5000, moves: true },
  {
    name: "the leader's, under more than memory may hold",
    held: "leader",
    pauseMsMax: 8000,
    moves: true,
    ...large,
  },
  { name: "a follower's", held: "follower", pauseMsMax: 3000, moves: false },
  { name: "two followers' of five", held: "two followers", pauseMsMax: 3000, moves: false, members: 5 },
];

for (const { name, held, pauseMsMax, moves, ...more } of stories) {
  test(`writes and sessions outlive a silent disk: ${name}`, { timeout: 120_000, skip }, async (t) => {
    const report = await stallDisks({
      runtime: runtimeUnderTest(),
      members: 3,
      held,
      holdMs: 20_000,
      tickMs: 2000,
      ...more,
    });
    if ("reason" in report) return t.skip(report.reason);
    assert.equal(report.sessionsLost, 0);
    assert.ok(report.pauseMs < pauseMsMax, `writes stopped for ${report.pauseMs} ms`);
    assert.equal(report.moved, moves);
  });
}
