/**
 * Requests: clients of a follower are answered as clients of the original's follower are, whichever
 * side leads and judges.
 */
import assert from "node:assert/strict";
import { bytesOf, textOf } from "../../../src/core/base/bytes.ts";
import { ErrorCode } from "../../../src/core/wire/errors.ts";
import { CreateMode, Perm } from "../../../src/core/wire/opcodes.ts";
import { ZkError } from "../../../src/client/zk_error.ts";
import type { Client } from "../../../src/client/client.ts";
import { withEnsemble } from "../../support/ensemble.ts";
import { clientOf, compareAll, compareTrees, digestMismatches } from "../../support/ensemble_compare.ts";
import type { Make } from "../../support/member.ts";
import { Random } from "../../support/random.ts";
import { Driver } from "../differential/driver.ts";
import { Side } from "../differential/side.ts";
import { slotCount, superDigest, superUser } from "../differential/vocabulary.ts";
import { isLong, scenario, scenarioBothWays } from "./cast.ts";

/** Nothing expires and no container goes while two ensembles are compared, for that takes zxids. */
const stillSettings = {
  tickTime: 600_000,
  minSessionTimeout: 60_000,
  maxSessionTimeout: 600_000,
  "znode.container.checkIntervalMs": 86_400_000,
  "DigestAuthenticationProvider.superDigest": superDigest,
};
const still = { "znode.container.checkIntervalMs": "86400000" };

const known = { version: "3.8.", because: "random requests, malformed ones too, are compared with 3.8" };

/** The configuration names ports and was written at a time of its own, so only its Stat is compared. */
function withoutAddresses(line: string): string {
  return line.replace(/\d+ bytes 7365727665722e31\S* sum \S+/g, "the configuration")
    .replace(/TIME OF 0 WAS 0 IS \d+/g, "its time");
}

/** The same random requests to a follower of an ensemble of originals and to one of a mixed ensemble. */
async function compareFollowers(java: Make, leads: Make, learns: Make): Promise<void> {
  const seed = Number(process.env["ZOOLET_SEED"] ?? 20_240_602);
  const options = { settings: stillSettings };
  const pair = (one: Make, two: Make) => [one, two].map((make) => ({ make, properties: still }));
  await withEnsemble(pair(java, java), options, async (left) => {
    await withEnsemble(pair(learns, leads), options, async (right) => {
      left.start(1, 2);
      right.start(1, 2);
      assert.equal((await left.settled()).sid, 2);
      assert.equal((await right.settled()).sid, 2);
      const leftSide = new Side("originals", left.of(1).ports.client, slotCount);
      const rightSide = new Side("mixed", right.of(1).ports.client, slotCount);
      leftSide.tamper = withoutAddresses;
      rightSide.tamper = withoutAddresses;
      try {
        const driver = new Driver(leftSide, rightSide, new Random(seed));
        const result = await driver.run({
          requests: isLong ? 6000 : 1500,
          differencesMax: 1,
          quotaEnforced: false,
          untilMs: 120_000,
        });
        assert.equal(result.differences.map(({ text }) => text).join("\n\n"), "", `seed ${seed}`);
      } finally {
        leftSide.close();
        rightSide.close();
      }
      await compareTrees(right, right.members, superUser);
      // Their leader foretells some digests wrongly and finds so itself; nobody may find more than it.
      const [follower, leader] = [await digestMismatches(right.of(1)), await digestMismatches(right.of(2))];
      assert.ok(leads.isJava || leader === 0, `our leader counted ${leader} digests that did not match`);
      assert.equal(follower, leader, "digests that did not match");
    });
  });
}

scenario(
  "our follower of their leader answers random requests as their follower does",
  { timeoutMs: 240_000, only: known },
  ({ java, ours }) => compareFollowers(java, java, ours),
);
scenario(
  "their follower of our leader answers random requests as their follower of theirs does",
  { timeoutMs: 240_000, only: known },
  ({ java, ours }) => compareFollowers(java, ours, java),
);

async function refused(code: number, what: Promise<unknown>): Promise<void> {
  try {
    await what;
  } catch (error) {
    assert.ok(error instanceof ZkError, String(error));
    return assert.equal(error.codeName, new ZkError(code, null).codeName);
  }
  assert.fail("it was not refused");
}

scenarioBothWays(
  "a leader judges the credentials that a follower forwards",
  { long: true },
  async (leads, learns) => {
    await withEnsemble([{ make: learns }, { make: leads }], {}, async (ensemble) => {
      ensemble.start(1, 2);
      await ensemble.settled();
      const ann = await clientOf(ensemble.of(1));
      await ann.addAuth("digest", bytesOf("ann:secret"));
      await ann.create("/hers", bytesOf("1"), {
        acls: [{ perms: Perm.All, id: { scheme: "auth", id: "" } }],
      });
      const local = [{ perms: Perm.All, id: { scheme: "ip", id: "127.0.0.1" } }];
      const far = [{ perms: Perm.All, id: { scheme: "ip", id: "10.1.2.3" } }];
      await ann.create("/local", null, { acls: local });
      await ann.create("/far", null, { acls: far });
      const bob = await clientOf(ensemble.of(1));
      await refused(ErrorCode.NoAuth, bob.setData("/hers", bytesOf("2")));
      await refused(ErrorCode.NoAuth, bob.create("/hers/child", null));
      await refused(ErrorCode.NoAuth, bob.create("/far/child", null));
      await bob.create("/local/child", null);
      await bob.addAuth("digest", bytesOf("ann:secret"));
      await bob.setData("/hers", bytesOf("2"));
      await refused(ErrorCode.NoAuth, bob.create("/far/child", null));
      await bob.addAuth("digest", bytesOf("super:super"));
      await bob.create("/far/child", null);
      await Promise.all([ann.close(), bob.close()]);
      await compareAll(ensemble);
    });
  },
);

scenarioBothWays(
  "failed writes of a follower's clients take a zxid each",
  { long: true },
  async (leads, learns) => {
    await withEnsemble([{ make: learns }, { make: leads }], {}, async (ensemble) => {
      ensemble.start(1, 2);
      await ensemble.settled();
      const client = await clientOf(ensemble.of(1));
      const { stat } = await client.create("/a", null);
      await refused(ErrorCode.NodeExists, client.create("/a", null));
      await refused(ErrorCode.NoNode, client.delete("/none"));
      await refused(ErrorCode.BadVersion, client.setData("/a", null, 9));
      const failed = await client.multi([
        { kind: "setData", path: "/a", data: bytesOf("x"), version: -1 },
        { kind: "check", path: "/none", version: -1 },
      ]);
      assert.ok(failed.every(({ kind }) => kind === "error"));
      const { stat: last } = await client.create("/b", null);
      assert.equal(last.czxid - stat.czxid, 5);
      await client.close();
      await compareAll(ensemble);
    });
  },
);

scenarioBothWays(
  "sync on a follower and on an observer brings all that was answered before",
  {},
  async (leads, learns) => {
    const specs = [{ make: learns }, { make: leads }, { make: learns, observer: true }];
    await withEnsemble(specs, {}, async (ensemble) => {
      ensemble.start(1, 2, 3);
      await ensemble.settled();
      const writer = await clientOf(ensemble.of(2));
      await writer.create("/n", bytesOf("0"));
      const readers = [await clientOf(ensemble.of(1)), await clientOf(ensemble.of(3))];
      const rounds = isLong ? 1000 : 150;
      for (let i = 1; i <= rounds; i++) {
        await writer.setData("/n", bytesOf(String(i)));
        await Promise.all(readers.map((reader) => seesAtLeast(reader, i)));
      }
      // Many syncs under way at once, between writes of the same client.
      const [reader] = readers as [Client];
      const answers: string[] = [];
      await Promise.all(Array.from({ length: rounds }, async (_, i) => {
        const call = i % 3 === 0 ? reader.setData("/n", bytesOf(String(rounds + i))) : reader.sync("/n");
        await call;
        answers.push(String(i));
      }));
      assert.deepEqual(answers, Array.from({ length: rounds }, (_, i) => String(i)));
      await Promise.all([writer, ...readers].map((client) => client.close()));
      await compareAll(ensemble);
    });
  },
);

async function seesAtLeast(reader: Client, least: number): Promise<void> {
  const [, { data }] = await Promise.all([reader.sync("/n"), reader.getData("/n")]);
  assert.ok(Number(textOf(data ?? new Uint8Array(0))) >= least, "an older value behind a sync");
}

scenarioBothWays(
  "values near a megabyte and a tree of many znodes pass",
  { long: true, timeoutMs: 300_000 },
  async (leads, learns) => {
    const specs = [{ make: learns }, { make: leads }, { make: leads }];
    await withEnsemble(specs, { heapMb: 768 }, async (ensemble) => {
      await ensemble.startLedBy(3);
      const client = await clientOf(ensemble.of(1), { timeoutMs: 20_000 });
      const big = new Uint8Array(1_048_000).fill(98);
      for (let i = 0; i < 5; i++) await client.create(`/big-${i}`, big);
      await client.setData("/big-0", big.fill(99));
      const parts = Array.from({ length: 10 }, (_, i) => ({
        kind: "setData" as const,
        path: `/big-${i % 5}`,
        data: big.subarray(0, 104_000),
        version: -1,
      }));
      await client.multi(parts);
      await client.create("/many", null);
      const count = 100_000;
      for (let at = 0; at < count; at += 1000) {
        await Promise.all(
          Array.from(
            { length: 1000 },
            (_, i) => client.create(`/many/znode-${at + i}`, bytesOf(`data ${at + i}`)),
          ),
        );
      }
      await client.close();
      const learner = ensemble.of(1);
      await learner.kill();
      learner.wipe();
      learner.start();
      await ensemble.settled(ensemble.members, 60_000);
      const dump = await compareAll(ensemble);
      assert.ok(dump.size > count);
    });
  },
);

scenarioBothWays("trees without digests are as good", { long: true }, async (leads, learns) => {
  const specs = [{ make: learns }, { make: leads }, { make: learns }];
  for (const [here, there] of [[false, true], [true, false]]) {
    const settings = [here, there, here].map((on) => ({ "digest.enabled": on === true }));
    await withEnsemble(
      specs.map((spec, i) => ({ ...spec, settings: settings[i] ?? {} })),
      {},
      async (ensemble) => {
        ensemble.start(1, 2);
        assert.equal((await ensemble.settled()).sid, 2);
        ensemble.start(3);
        await ensemble.settled();
        const client = await clientOf(ensemble.of(1));
        for (let i = 0; i < 300; i++) {
          const mode = i % 5 === 0 ? CreateMode.Ephemeral : CreateMode.Persistent;
          await client.create(`/d-${i}`, bytesOf(`${i}`), { mode });
          if (i % 7 === 0) await client.delete(`/d-${i}`);
        }
        await client.close();
        await compareAll(ensemble);
      },
    );
  }
});
