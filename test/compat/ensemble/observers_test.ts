/**
 * Observers: they hear everything, are asked nothing and serve as well as the others.
 */
import assert from "node:assert/strict";
import { bytesOf } from "../../../src/core/base/bytes.ts";
import { type Ensemble, pickPort, withEnsemble } from "../../support/ensemble.ts";
import { clientOf, compareAll, untilSessionsAgree } from "../../support/ensemble_compare.ts";
import { Load } from "../../support/ensemble_load.ts";
import { syncWay } from "../../support/ensemble_words.ts";
import type { Make, Member } from "../../support/member.ts";
import { scenario, scenarioBothWays } from "./cast.ts";

async function writesThrough(member: Member, name: string, count: number): Promise<void> {
  const client = await clientOf(member);
  await Promise.all(Array.from({ length: count }, (_, i) => client.create(`/${name}-${i}`, bytesOf(`${i}`))));
  await client.close();
}

scenarioBothWays(
  "an observer at the edge of an ensemble serves, falls behind and catches up",
  {},
  async (leads, learns) => {
    const specs = [{ make: leads }, { make: leads }, { make: leads }, { make: learns, observer: true }];
    await withEnsemble(specs, { settings: { snapshotSizeFactor: -1 } }, async (ensemble) => {
      await ensemble.startLedBy(3);
      const observer = ensemble.of(4);
      assert.equal(await observer.role(), "observer");
      await writesThrough(observer, "through", 50);
      await writesThrough(ensemble.of(1), "beside", 50);
      await compareAll(ensemble);

      await observer.kill();
      await writesThrough(ensemble.of(2), "missed", 50);
      observer.start();
      await ensemble.settled();
      assert.equal(syncWay(ensemble.of(3), observer), "diff");
      await compareAll(ensemble);

      await observer.kill();
      observer.wipe();
      await writesThrough(ensemble.of(2), "lost", 600);
      // A leader that has just started remembers less than all.
      const voters = ensemble.running;
      await Promise.all(voters.map((member) => member.stop()));
      for (const member of voters) member.start();
      const leader = await ensemble.settled(voters);
      observer.start();
      await ensemble.settled();
      assert.equal(syncWay(leader, observer), "snap");
      await writesThrough(observer, "again", 20);
      const dump = await compareAll(ensemble);
      assert.ok(dump.has("/lost-599") && dump.has("/again-19"));

      // Its clients stay while the ensemble changes its leader, and it does not count for a quorum.
      const load = await Load.start([observer], { clients: 1 });
      await load.more(50);
      await leader.kill();
      await load.more(50);
      await load.stop();
      const next = await ensemble.settled();
      await next.kill();
      const alone = ensemble.running.find((member) => member !== observer);
      for (const member of [alone ?? observer, observer]) await ensemble.untilRole(member, ["looking"]);
      next.start();
      await ensemble.settled();
      leader.start();
      await ensemble.settled();
      load.verify(await compareAll(ensemble));
      await untilSessionsAgree(ensemble.members);
    });
  },
);

scenarioBothWays(
  "an observer with the smallest sid is called back",
  { long: true },
  async (leads, learns) => {
    const specs = [{ make: learns, observer: true }, { make: leads }, { make: learns }, { make: leads }];
    await withEnsemble(specs, {}, async (ensemble) => {
      ensemble.start(1);
      ensemble.start(2, 3, 4);
      await ensemble.settled();
      await writesThrough(ensemble.of(1), "small", 30);
      for (const sid of [4, 3]) {
        await ensemble.of(sid).kill();
        await ensemble.settled();
        await writesThrough(ensemble.of(1), `without-${sid}`, 30);
        ensemble.start(sid);
        await ensemble.settled();
      }
      await compareAll(ensemble);
    });
  },
);

/** The observer has one follower to go to, of the kind that is asked. */
async function behindFollower(leads: Make, serves: Make, observes: Make): Promise<void> {
  const observerMasterPort = await pickPort();
  const specs = [{ make: serves }, { make: leads }, { make: observes, observer: true }];
  const options = { ownAddresses: true, settings: { observerMasterPort, snapshotSizeFactor: -1 } };
  await withEnsemble(specs, options, async (ensemble) => {
    ensemble.start(1, 2);
    assert.equal((await ensemble.settled()).sid, 2);
    ensemble.start(3);
    await ensemble.settled();
    const observer = ensemble.of(3);
    await throughFollower(ensemble);
    await writesThrough(observer, "through", 100);
    await compareAll(ensemble);
    await untilSessionsAgree(ensemble.members);

    await observer.kill();
    await writesThrough(ensemble.of(1), "missed", 40);
    observer.start();
    await ensemble.settled();
    await throughFollower(ensemble);
    await observer.kill();
    observer.wipe();
    await writesThrough(ensemble.of(1), "lost", 600);
    observer.start();
    await ensemble.settled();
    await writesThrough(observer, "again", 20);
    const dump = await compareAll(ensemble);
    assert.ok(dump.has("/missed-39") && dump.has("/lost-599") && dump.has("/again-19"));

    // The one it hangs on goes away and comes back.
    await ensemble.of(1).kill();
    ensemble.start(1);
    await ensemble.settled();
    await writesThrough(observer, "once-more", 20);
    await compareAll(ensemble);
  });
}

/** The leader's own count of observers tells that this one is not with it. */
async function throughFollower(ensemble: Ensemble): Promise<void> {
  const [follower, leader] = [await ensemble.of(1).metrics(), await ensemble.of(2).metrics()];
  assert.equal(leader.get("synced_observers"), "0", "observers of the leader");
  assert.equal(follower.get("synced_observers"), "1", "observers of the follower");
}

scenario(
  "our observer is served by their follower",
  { long: true, timeoutMs: 120_000 },
  ({ java, ours }) => behindFollower(java, java, ours),
);
scenario(
  "their observer is served by our follower of their leader",
  { long: true, timeoutMs: 120_000 },
  ({ java, ours }) => behindFollower(java, ours, java),
);
scenario(
  "their observer is served by their follower of our leader",
  { long: true, timeoutMs: 120_000 },
  ({ java, ours }) => behindFollower(ours, java, java),
);
