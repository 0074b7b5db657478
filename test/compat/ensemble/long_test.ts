/**
 * What is long, in ensembles of both kinds: whoever of them leads keeps leading, also with one member
 * down. The original takes `jute.maxbuffer` as a system property alone.
 */
import assert from "node:assert/strict";
import type { EnsembleOptions, MemberSpec } from "../../support/ensemble.ts";
import { withEnsemble } from "../../support/ensemble.ts";
import { compareAll } from "../../support/ensemble_compare.ts";
import {
  catchesUp,
  ephemeralsEnd,
  ephemeralsFew,
  ephemeralsMany,
  identitiesWrittenOut,
  staysLeader,
} from "../../support/ensemble_long.ts";
import type { Make } from "../../support/member.ts";
import { isLong, scenario, scenarioBothWays } from "./cast.ts";

const frameBytesMax = 8_388_608;
const ephemerals = isLong ? ephemeralsMany : ephemeralsFew;

/** A leader, 3, and a learner of each kind. */
function mixed(leader: Make, learner: Make, frames: number | null): [readonly MemberSpec[], EnsembleOptions] {
  const properties = frames === null ? {} : { "jute.maxbuffer": String(frames) };
  const settings = frames === null ? {} : { "jute.maxbuffer": frames };
  const specs = [{ make: learner, properties }, { make: leader, properties }, { make: leader, properties }];
  return [specs, { settings, heapMb: 768 }];
}

scenario(
  "more ephemerals than a packet holds end with their session, by our closeSession, which lists a part of them",
  { timeoutMs: 180_000 },
  async ({ java, ours }) => {
    await withEnsemble(...mixed(ours, java, null), async (ensemble) => {
      const leader = await ensemble.startLedBy(3);
      await staysLeader(ensemble, leader, async () => {
        await ephemeralsEnd(ensemble, isLong ? ensemble.members : [ensemble.of(1)], ephemerals, "close");
        if (isLong) {
          await ensemble.of(2).kill();
          await ephemeralsEnd(ensemble, [ensemble.of(1)], ephemerals, "expire");
          ensemble.start(2);
          await ensemble.settled(ensemble.members);
        }
        await compareAll(ensemble);
      });
    });
  },
);

scenario(
  "identities that would be written out beyond a packet are refused to a client of theirs, by our leader",
  { long: true },
  async ({ java, ours }) => {
    await withEnsemble(...mixed(ours, java, null), async (ensemble) => {
      const leader = await ensemble.startLedBy(3);
      await staysLeader(ensemble, leader, async () => {
        const theirs = ensemble.of(1);
        assert.equal(await identitiesWrittenOut(theirs, 900_000, 1), true);
        for (const parts of [3, 6000]) {
          assert.equal(await identitiesWrittenOut(theirs, 900_000, parts), false);
        }
        await ensemble.of(2).kill();
        assert.equal(await identitiesWrittenOut(theirs, 900_000, 4), false);
        ensemble.start(2);
        await ensemble.settled(ensemble.members);
        await compareAll(ensemble);
      });
    });
  },
);

scenarioBothWays(
  "values of 3 MB, ephemerals and identities under jute.maxbuffer=8388608",
  { long: true, timeoutMs: 240_000 },
  async (leads, learns) => {
    await withEnsemble(...mixed(leads, learns, frameBytesMax), async (ensemble) => {
      const leader = await ensemble.startLedBy(3);
      await staysLeader(ensemble, leader, async () => {
        for (const sid of [1, 2]) await catchesUp(ensemble, leader, ensemble.of(sid), 3_000_000);
        await ephemeralsEnd(ensemble, ensemble.members, ephemeralsMany, "close");
        for (const member of ensemble.members) {
          assert.equal(await identitiesWrittenOut(member, 60_000, 45), true);
        }
        await ensemble.of(1).kill();
        await ephemeralsEnd(ensemble, [ensemble.of(2)], ephemeralsMany, "expire");
        ensemble.start(1);
        await ensemble.settled(ensemble.members);
        await compareAll(ensemble);
      });
    });
  },
);
