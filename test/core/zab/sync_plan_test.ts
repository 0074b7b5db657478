/** How a learner gets level, case by case and against a list of what it could have. quorum-protocol 4.5. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { counterOf, epochOf, type Zxid } from "../../../src/core/base/zxid.ts";
import { Ledger } from "../../../src/core/zab/ledger.ts";
import { planSync } from "../../../src/core/zab/sync_plan.ts";
import { Random } from "../../support/random.ts";
import { errorTxn, z } from "./told.ts";

/** A leader whose memory begins at `floor` and holds these. */
function ledgerOf(floor: number, zxids: readonly number[]): Ledger {
  const ledger = new Ledger(floor as Zxid, 1 << 20);
  for (const zxid of zxids) {
    const txn = errorTxn(zxid, -1);
    ledger.accept(txn, 0, txn.length, zxid as Zxid, 0);
  }
  ledger.loaded();
  if (zxids.length > 0) ledger.commitUpTo(zxids.at(-1) as Zxid, () => {});
  return ledger;
}

const ours = [z(1, 3), z(1, 4), z(3, 1), z(3, 2), z(3, 3)];
const cut = z(3, 3) as Zxid;
const cases: readonly (readonly [string, number, string])[] = [
  ["level with us", z(3, 3), "diff"],
  ["behind us, in memory", z(3, 1), "diff"],
  ["at the end of an earlier epoch", z(1, 4), "diff"],
  ["right where memory begins", z(1, 2), "diff"],
  ["further back than memory", z(1, 1), "log"],
  ["with nothing at all", 0, "log"],
  ["ahead in our last epoch", z(3, 9), "trunc"],
  ["ahead, of a later epoch", z(4, 1), "snap"],
  ["at the beginning of a later epoch, which is no txn", z(4, 0), "snap"],
  ["at the beginning of our epoch, which is no txn", z(3, 0), "snap"],
  ["with a txn of an earlier epoch that we do not have", z(1, 5), "snap"],
  ["with an epoch that we never had", z(2, 1), "snap"],
  ["with an empty database that is not trusted", -1, "snap"],
  ["with a zxid that can be none", -(2 ** 63), "snap"],
  ["with a zxid greater than any", 2 ** 63, "snap"],
];

for (const [who, own, kind] of cases) {
  test(`a learner ${who}: ${kind}`, () => {
    const plan = planSync(ledgerOf(z(1, 2), ours), own, cut);
    assert.equal(plan.kind, kind);
    if (plan.kind === "trunc") assert.equal(plan.to, cut);
  });
}

test("nobody is told to cut where we have no txn, and nobody gets a diff from a txn that is not ours", () => {
  const random = new Random(11);
  for (let i = 0; i < 3000; i++) {
    const zxids: number[] = [];
    for (let epoch = 1 + random.below(2); epoch < 6; epoch += 1 + random.below(2)) {
      for (let counter = 1; counter <= random.below(4); counter++) zxids.push(z(epoch, counter));
    }
    const kept = random.below(zxids.length + 1);
    const floor = zxids[kept - 1] ?? 0;
    const ledger = ledgerOf(floor, zxids.slice(kept));
    const end = (zxids.at(-1) ?? 0) as Zxid;
    const own = z(random.below(7), random.below(6));
    const plan = planSync(ledger, own, end);
    const mine = own === 0 || zxids.includes(own);
    const told = `${plan.kind} for ${own} of ${zxids.join()} from ${floor}`;
    switch (plan.kind) {
      case "diff":
        assert.ok(mine && own >= floor, told);
        break;
      case "trunc":
        assert.ok(plan.to === end && own > end && counterOf(own as Zxid) > 0, told);
        assert.equal(epochOf(own as Zxid), epochOf(end), told);
        break;
      case "log":
        assert.ok(own < floor, told);
        break;
      case "snap":
        assert.ok(!mine || own < floor, told);
    }
  }
});
