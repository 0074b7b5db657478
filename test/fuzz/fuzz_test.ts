/**
 * Fuzz: no frame and no connection can end the server, keep it from others, or make it grow.
 *
 * Twenty thousand frames here, a million by hand: see run.ts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runtimeUnderTest, zooletMissing } from "../support/zoolet.ts";
import { fuzzRun, fuzzText } from "./fuzz_run.ts";

const seed = Number(process.env["ZOOLET_SEED"] ?? 4711);

/** Both runtimes keep what they freed; a leak of one frame's worth per frame would pass this within the run. */
const residentMbMax = 700;
const canaryMsMax = 5000;

test("twenty thousand hostile frames leave the server serving, whole and small", {
  timeout: 120_000,
  skip: zooletMissing() ?? false,
}, async () => {
  const result = await fuzzRun(runtimeUnderTest(), { seed, frames: 20_000, connections: 6, untilMs: 60_000 });
  const told = `seed ${seed}\n${fuzzText(result)}`;
  assert.deepEqual(result.failures, [], told);
  assert.ok(result.frames >= 20_000, told);
  assert.ok(result.canaryRounds > 5, told);
  assert.ok(result.canaryMsMax < canaryMsMax, told);
  assert.ok(result.residentMbMax < residentMbMax, told);
});
