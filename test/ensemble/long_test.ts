/**
 * Ensembles of our own carry what is long and keep their leader: values of 3 MB, 2.7 MB of ephemerals
 * that go at once, and with one member of three down.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { withEnsemble } from "../support/ensemble.ts";
import { compareAll } from "../support/ensemble_compare.ts";
import {
  catchesUp,
  ephemeralsEnd,
  ephemeralsFew,
  ephemeralsMany,
  identitiesWrittenOut,
  longValues,
  staysLeader,
} from "../support/ensemble_long.ts";
import { runtimeUnderTest } from "../support/zoolet.ts";
import { zooletMake } from "../support/zoolet_member.ts";

const isLong = process.env["ZOOLET_TEST_LONG"] === "1";
const make = zooletMake(runtimeUnderTest());
const skip = make.missing ?? false;
const three = [{ make }, { make }, { make }];

test("a session with 2.7 MB of ephemerals closes, or expires with a member down", {
  timeout: 120_000,
  skip,
}, async () => {
  await withEnsemble(three, { settings: { tickTime: 500 } }, async (ensemble) => {
    const leader = await ensemble.startLedBy(3);
    const ephemerals = isLong ? ephemeralsMany : ephemeralsFew;
    await staysLeader(ensemble, leader, async () => {
      await ephemeralsEnd(ensemble, [ensemble.of(1), leader].slice(0, isLong ? 2 : 1), ephemerals, "close");
      await ensemble.of(2).kill();
      await ephemeralsEnd(ensemble, [ensemble.of(1)], ephemerals, "expire");
      ensemble.start(2);
      await ensemble.settled(ensemble.members);
      await compareAll(ensemble);
    });
  });
});

test("values of 3 MB under jute.maxbuffer=8388608 reach every member, by proposal, DIFF and SNAP", {
  timeout: 120_000,
  skip,
}, async () => {
  await withEnsemble(
    three,
    { settings: { tickTime: 500, "jute.maxbuffer": 8_388_608 } },
    async (ensemble) => {
      const leader = await ensemble.startLedBy(3);
      if (isLong) await catchesUp(ensemble, leader, ensemble.of(1), 3_000_000);
      else await staysLeader(ensemble, leader, () => longValues(ensemble, 3_000_000));
      assert.equal(await identitiesWrittenOut(ensemble.of(2), 60_000, 200), true);
      assert.equal(await identitiesWrittenOut(ensemble.of(2), 60_000, 400), false);
      await compareAll(ensemble);
    },
  );
});
