/**
 * Differential: random requests, in lock-step, against Apache ZooKeeper and against us.
 *
 * A few thousand requests here, tens of thousands by hand: see differential/run.ts. A failure prints
 * the seed, the step and the last steps before it; `run.ts --seed` repeats it.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { apacheMissing } from "../support/apache.ts";
import { runtimeUnderTest, zooletMissing } from "../support/zoolet.ts";
import { type PairRun, runPair } from "./differential/pair.ts";

const seed = Number(process.env["ZOOLET_SEED"] ?? 20_240_601);
const noApache = apacheMissing();
const noZoolet = noApache ?? zooletMissing();
const limit = { timeout: 120_000 };

const base: PairRun = {
  seed,
  requests: 800,
  differencesMax: 1,
  quotaEnforced: false,
  untilMs: 60_000,
  right: { kind: "apache" },
};

function textOf(differences: readonly { readonly text: string }[]): string {
  return differences.map((difference) => difference.text).join("\n\n");
}

test("two Apache ZooKeepers do not differ, so the comparison itself invents nothing", {
  ...limit,
  skip: noApache ?? false,
}, async () => {
  const result = await runPair(base);
  assert.equal(textOf(result.differences), "");
  assert.ok(result.requests >= 800);
});

test("a planted difference is found", { ...limit, skip: noApache ?? false }, async () => {
  let seen = 0;
  // One Stat in the whole run shows a version that is off by nine.
  const tamper = (line: string) =>
    / v=0 /.test(line) && ++seen === 40 ? line.replace(" v=0 ", " v=9 ") : line;
  const result = await runPair({ ...base, tamper });
  assert.equal(result.differences.length, 1);
  assert.match(textOf(result.differences), / v=9 /);
});

test(
  "zoolet answers every request as Apache ZooKeeper does",
  { ...limit, skip: noZoolet ?? false },
  async () => {
    const result = await runPair({
      ...base,
      requests: 4000,
      right: { kind: "zoolet", runtime: runtimeUnderTest() },
    });
    assert.equal(textOf(result.differences), "");
  },
);

test("zoolet enforces quotas as Apache ZooKeeper does", { ...limit, skip: noZoolet ?? false }, async () => {
  const result = await runPair({
    ...base,
    requests: 1500,
    quotaEnforced: true,
    right: { kind: "zoolet", runtime: runtimeUnderTest() },
  });
  assert.equal(textOf(result.differences), "");
});
