/**
 * Groups: with weights in groups a quorum is more than a count, and both sides must count alike.
 */
import assert from "node:assert/strict";
import { withEnsemble } from "../../support/ensemble.ts";
import { clientOf, compareAll } from "../../support/ensemble_compare.ts";
import { sleep } from "../../support/places.ts";
import { scenarioBothWays } from "./cast.ts";

scenarioBothWays(
  "groups decide, and a voter without weight never leads",
  { long: true },
  async (one, other) => {
    const specs = [{ make: one }, { make: other }, { make: one }, { make: other }];
    const lines = [
      "group.1=1:4",
      "group.2=2",
      "group.3=3",
      "weight.1=1",
      "weight.2=1",
      "weight.3=1",
      "weight.4=0",
    ];
    await withEnsemble(specs, { lines }, async (ensemble) => {
      ensemble.start(1, 2, 3, 4);
      const leader = await ensemble.settled();
      assert.notEqual(leader.sid, 4);
      const client = await clientOf(ensemble.of(4));
      await client.create("/a", null);
      await client.close();

      // Two groups of three are enough; the weightless one is none of them.
      await ensemble.of(3).kill();
      await ensemble.settled();
      await ensemble.of(2).kill();
      await sleep(300);
      for (const sid of [1, 4]) await ensemble.untilRole(ensemble.of(sid), ["looking"]);
      ensemble.start(2);
      assert.notEqual((await ensemble.settled()).sid, 4);
      ensemble.start(3);
      await ensemble.settled();
      assert.ok((await compareAll(ensemble)).has("/a"));
    });
  },
);
