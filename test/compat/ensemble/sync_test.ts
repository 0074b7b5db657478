/**
 * Sync: how a member that was away gets level with its leader, the original's leader and ours.
 *
 * Of three voters two are of the leader's kind and the third is the other kind.
 */
import assert from "node:assert/strict";
import type { Client } from "../../../src/client/client.ts";
import { bytesOf } from "../../../src/core/base/bytes.ts";
import { CreateMode, Perm } from "../../../src/core/wire/opcodes.ts";
import { aclOpen } from "../../../src/core/wire/records.ts";
import { type Ensemble, withEnsemble } from "../../support/ensemble.ts";
import { clientOf, compareAll, untilSessionsAgree } from "../../support/ensemble_compare.ts";
import { syncWay } from "../../support/ensemble_words.ts";
import type { Make, Member } from "../../support/member.ts";
import { sleep } from "../../support/places.ts";
import { scenarioBothWays } from "./cast.ts";

async function write(members: readonly Member[], prefix: string, count: number, bytes = 10): Promise<void> {
  const client = await clientOf(members);
  const data = bytesOf("d".repeat(bytes));
  await Promise.all(Array.from({ length: count }, (_, i) => client.create(`/${prefix}-${i}`, data)));
  await client.close();
}

async function back(ensemble: Ensemble, sid: number): Promise<void> {
  ensemble.start(sid);
  await ensemble.settled();
}

scenarioBothWays("one that was away comes back by diff", {}, async (leads, learns) => {
  const specs = [{ make: learns }, { make: leads }, { make: leads }];
  // However little the tree is, the log may be read for those who missed more than memory holds.
  await withEnsemble(specs, { settings: { snapshotSizeFactor: 1000 } }, async (ensemble) => {
    await ensemble.startLedBy(3);
    const learner = ensemble.of(1);
    const others = [ensemble.of(2), ensemble.of(3)];
    await write(others, "first", 20);

    await learner.stop();
    await back(ensemble, 1);
    assert.equal(syncWay(ensemble.of(3), learner), "diff", "nothing happened meanwhile");

    await learner.kill();
    await write(others, "some", 120);
    await back(ensemble, 1);
    assert.equal(syncWay(ensemble.of(3), learner), "diff", "a few txns happened meanwhile");
    await compareAll(ensemble);

    await learner.kill();
    await write(others, "many", 700);
    await back(ensemble, 1);
    assert.equal(syncWay(ensemble.of(3), learner), "diff", "more txns than the leader remembers");
    await write([learner], "after", 5);
    const dump = await compareAll(ensemble);
    assert.ok(dump.has("/first-19") && dump.has("/many-699") && dump.has("/after-4"));
    await untilSessionsAgree(ensemble.members);
  });
});

scenarioBothWays("one that lost its disk comes back by snapshot", {}, async (leads, learns) => {
  const specs = [{ make: learns }, { make: leads }, { make: leads }];
  await withEnsemble(specs, { settings: { snapshotSizeFactor: -1 } }, async (ensemble) => {
    await ensemble.startLedBy(3);
    const learner = ensemble.of(1);
    const client = await clientOf([ensemble.of(2), ensemble.of(3)]);
    await everyKind(client);
    await write([ensemble.of(2), ensemble.of(3)], "many", 600);
    await learner.kill();
    learner.wipe();
    // A leader that has just started remembers less than all.
    await restart(ensemble, [2, 3]);
    await back(ensemble, 1);
    assert.equal(syncWay(ensemble.of(3), learner), "snap");
    await write([learner], "after", 5);
    const dump = await compareAll(ensemble);
    assert.ok(dump.has("/many-599") && dump.has("/after-4") && dump.has("/kinds/ephemeral"));

    // What it got is on its disk, sessions too.
    await learner.kill();
    await back(ensemble, 1);
    assert.equal(syncWay(ensemble.of(3), learner), "diff");
    await compareAll(ensemble);
    assert.ok((await untilSessionsAgree(ensemble.members)).includes(sessionText(client)));
    await client.close();
  });
});

async function restart(ensemble: Ensemble, sids: readonly number[]): Promise<void> {
  const members = sids.map((sid) => ensemble.of(sid));
  await Promise.all(members.map((member) => member.stop()));
  ensemble.start(...sids);
  await ensemble.settled(members);
}

/** One of every kind of znode, with ACLs and data of their own. */
async function everyKind(client: Client): Promise<void> {
  const reader = { perms: Perm.Read, id: { scheme: "digest", id: "ann:x1q+4ANWZTVpLK8Y4rbTuhcwvlc=" } };
  await client.create("/kinds", null);
  await client.create("/kinds/ephemeral", bytesOf("e"), { mode: CreateMode.Ephemeral });
  await client.create("/kinds/container", null, { mode: CreateMode.Container });
  await client.create("/kinds/container/child", bytesOf(""));
  await client.create("/kinds/ttl", bytesOf("t"), { mode: CreateMode.PersistentTtl, ttlMs: 600_000 });
  await client.create("/kinds/seq-", null, { mode: CreateMode.PersistentSequential });
  await client.create("/kinds/acl", bytesOf("\u00e9\u{1f600}"), { acls: [...aclOpen, reader] });
  await client.create("/kinds/gone", null);
  await client.delete("/kinds/gone");
  await client.setData("/kinds/ttl", new Uint8Array(20_000).fill(7));
  await client.setAcl("/kinds/container", [reader]);
}

function sessionText(client: Client): string {
  return client.sessionId.toString(16).padStart(16, "0");
}

/**
 * Leaves member 3 with txns that nobody else has: the followers are frozen, so the leader's proposals
 * lie in their kernels' buffers, and killed before they could read them.
 */
async function proposeInVain(ensemble: Ensemble, count: number): Promise<void> {
  const [one, two, leader] = [ensemble.of(1), ensemble.of(2), ensemble.of(3)];
  const client = await clientOf(leader);
  await one.freeze();
  await two.freeze();
  const answered: string[] = [];
  const lost = Promise.allSettled(
    Array.from(
      { length: count },
      (_, i) => client.create(`/vain-${i}`, bytesOf("vain")).then(({ path }) => answered.push(path)),
    ),
  );
  await sleep(700);
  await leader.kill();
  await Promise.all([one.kill(), two.kill()]);
  client.abandon();
  await lost;
  assert.deepEqual(answered, [], "no quorum had them");
}

async function truncStory(leads: Make, learns: Make, wrote: boolean, count: number): Promise<void> {
  const specs = [{ make: leads }, { make: leads }, { make: learns }];
  await withEnsemble(specs, {}, async (ensemble) => {
    await ensemble.startLedBy(3);
    await write(ensemble.members, "before", 15);
    await proposeInVain(ensemble, count);

    ensemble.start(1, 2);
    const leader = await ensemble.settled([ensemble.of(1), ensemble.of(2)]);
    if (wrote) await write([leader], "after", 10);
    // The old leader loads what it has, txns in vain and all, before it hears of the new one.
    await back(ensemble, 3);
    const dump = await compareAll(ensemble);
    assert.deepEqual([...dump.keys()].filter((path) => path.startsWith("/vain")), []);
    const way = syncWay(leader, ensemble.of(3));
    if (wrote) assert.equal(way, "snap", "never truncated across epochs");
    else assert.equal(way, "trunc");

    // Nor do they come back from its disk.
    await write(ensemble.members, "last", 3);
    await ensemble.of(3).kill();
    await back(ensemble, 3);
    const later = await compareAll(ensemble);
    assert.deepEqual([...later.keys()].filter((path) => path.startsWith("/vain")), []);
    await ensemble.stop();
    ensemble.start(1, 2, 3);
    await ensemble.settled();
    assert.deepEqual([...(await compareAll(ensemble)).keys()], [...later.keys()]);
  });
}

scenarioBothWays(
  "a txn that no quorum had is cut from its leader's log",
  {},
  (leads, learns) => truncStory(leads, learns, false, 1),
);

scenarioBothWays(
  "txns that no quorum had are gone where the next epoch has txns of its own",
  { long: true },
  (leads, learns) => truncStory(leads, learns, true, 20),
);
