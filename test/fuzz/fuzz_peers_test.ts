/**
 * Fuzz of the peer ports: nobody who reaches them can end a member, keep it from its clients, make it
 * grow or fill its log. A short run here; longer ones by hand, see run.ts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runtimeUnderTest, zooletMissing } from "../support/zoolet.ts";
import { fuzzPeers, peerFuzzText, type PeerPort } from "./fuzz_peers.ts";

const seed = Number(process.env["ZOOLET_SEED"] ?? 4711);
const residentMbMax = 700;
const canaryMsMax = 5000;
const logLinesMax = 3000;

const runs: readonly (readonly [string, PeerPort, number])[] = [
  ["hostile learners at the quorum port of a leader", "quorum", 3000],
  ["hostile voters at the election port of a leader", "election", 2000],
  ["a hostile leader that a learner was led to", "leader", 300],
];

for (const [who, port, frames] of runs) {
  test(`${who} leave the ensemble serving, whole and small`, {
    timeout: 120_000,
    skip: zooletMissing() ?? false,
  }, async () => {
    const result = await fuzzPeers(runtimeUnderTest(), { seed, frames, port, untilMs: 30_000 });
    const told = `seed ${seed}\n${peerFuzzText(result)}`;
    assert.deepEqual(result.failures, [], told);
    assert.ok(result.frames >= frames, told);
    assert.ok(result.canaryRounds > 5, told);
    assert.ok(result.canaryMsMax < canaryMsMax, told);
    assert.ok(result.residentMbMax < residentMbMax, told);
    assert.ok(result.logLines < logLinesMax, told);
  });
}
