/**
 * Crash: what was acknowledged is there after a SIGKILL at any moment.
 *
 * A few kills here, hundreds by hand: see run.ts. What a SIGKILL cannot show, that the bytes had
 * reached the disk, is for fsync_test.ts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runtimeUnderTest, zooletMissing } from "../support/zoolet.ts";
import { crashRun, crashText } from "./crash_run.ts";
import { Ledger } from "./ledger.ts";

const seed = Number(process.env["ZOOLET_SEED"] ?? 77);

test("the ledger tells a lost write, a half multi and a gap from what may be", () => {
  const promised = new Ledger("w");
  promised.asked({ kind: "create", name: "a" });
  promised.acked(1n);
  assert.deepEqual(promised.settle({ names: new Set(), count: 0 }), ["w: a is missing"]);

  const half = new Ledger("w");
  half.asked({ kind: "pair", names: ["a", "b"], value: 1 });
  assert.equal(half.settle({ names: new Set(["a"]), count: 1 }).length, 1);

  const gap = new Ledger("w");
  gap.asked({ kind: "create", name: "a" });
  gap.asked({ kind: "create", name: "b" });
  assert.deepEqual(gap.settle({ names: new Set(["b"]), count: 0 }), ["w: a is missing"]);

  const tail = new Ledger("w");
  tail.asked({ kind: "create", name: "a" });
  tail.asked({ kind: "count", value: 7 });
  tail.asked({ kind: "create", name: "b" });
  assert.deepEqual(tail.settle({ names: new Set(["a"]), count: 7 }), []);
  assert.deepEqual([...tail.names], ["a"]);
});

test("every acknowledged write survives a SIGKILL, and no multi is half there", {
  timeout: 120_000,
  skip: zooletMissing() ?? false,
}, async () => {
  const result = await crashRun({
    runtime: runtimeUnderTest(),
    seed,
    kills: 6,
    connections: 3,
    depth: 16,
    untilMs: 60_000,
  });
  const told = `seed ${seed}\n${crashText(result)}`;
  assert.deepEqual(result.problems, [], told);
  assert.equal(result.kills, 6, told);
  assert.ok(result.acknowledged > 0, told);
});
