/** Quorums against the definition, over every set of voters. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HierarchicalQuorum, MajorityQuorum, type Quorum } from "../../../src/core/base/quorum.ts";
import { Random } from "../../support/random.ts";

/** Every set of the voters that is a quorum. */
function quorumsOf(quorum: Quorum): Set<number>[] {
  const { voters } = quorum;
  const found: Set<number>[] = [];
  for (let bits = 0; bits < 1 << voters.length; bits++) {
    const set = new Set(voters.filter((_, i) => (bits >> i) & 1));
    if (quorum.isQuorum((sid) => set.has(sid))) found.push(set);
  }
  return found;
}

function assertAnyTwoMeet(quorum: Quorum): void {
  const all = quorumsOf(quorum);
  for (const a of all) {
    for (const b of all) assert.ok([...a].some((sid) => b.has(sid)), `${[...a]} and ${[...b]} do not meet`);
  }
}

test("a majority is more than half, and any two of them share a voter", () => {
  for (let count = 1; count <= 7; count++) {
    const quorum = new MajorityQuorum(Array.from({ length: count }, (_, i) => 10 * (count - i)));
    const sizes = quorumsOf(quorum).map((set) => set.size);
    assert.equal(Math.min(...sizes), Math.floor(count / 2) + 1);
    assertAnyTwoMeet(quorum);
  }
});

test("voters are known in ascending order, others have no weight and are not asked", () => {
  const quorum = new MajorityQuorum([5, 2, 300]);
  assert.deepEqual(quorum.voters, [2, 5, 300]);
  assert.deepEqual([quorum.isVoter(5), quorum.isVoter(4)], [true, false]);
  assert.deepEqual([quorum.weight(5), quorum.weight(4)], [1, 0]);
  quorum.isQuorum((sid) => {
    assert.ok(quorum.isVoter(sid));
    return true;
  });
});

test("an ensemble without voters, or with one twice, cannot be made", () => {
  assert.throws(() => new MajorityQuorum([]));
  assert.throws(() => new MajorityQuorum([1, 1]));
  const group = { members: [{ sid: 1, weight: 1 }] };
  assert.throws(() => new HierarchicalQuorum([group, group]));
  assert.throws(() => new HierarchicalQuorum([{ members: [{ sid: 1, weight: 0 }] }]));
});

test("three groups of three decide by two of three in two of three", () => {
  const groups = [0, 1, 2].map((g) => ({
    members: [1, 2, 3].map((i) => ({ sid: 3 * g + i, weight: 1 })),
  }));
  const quorum = new HierarchicalQuorum(groups);
  const has = (...sids: number[]) => quorum.isQuorum((sid) => sids.includes(sid));
  assert.ok(has(1, 2, 4, 5));
  assert.ok(!has(1, 2, 3, 4));
  assert.ok(!has(1, 4, 7));
  assertAnyTwoMeet(quorum);
});

test("a group without weight does not count, nor does a voter without", () => {
  const quorum = new HierarchicalQuorum([
    { members: [{ sid: 1, weight: 2 }, { sid: 2, weight: 1 }, { sid: 3, weight: 0 }] },
    { members: [{ sid: 4, weight: 0 }] },
  ]);
  assert.ok(quorum.isQuorum((sid) => sid === 1));
  assert.ok(!quorum.isQuorum((sid) => sid !== 1));
  assert.deepEqual([3, 4].map((sid) => [quorum.isVoter(sid), quorum.weight(sid)]), [[true, 0], [true, 0]]);
});

test("groups with any weights: more weight than half in more groups than half, and any two quorums meet", () => {
  const random = new Random(13);
  for (let i = 0; i < 60; i++) {
    const groups = Array.from({ length: 1 + random.below(3) }, (_, g) => ({
      members: Array.from({ length: 1 + random.below(3) }, (_, m) => ({
        sid: 10 * g + m,
        weight: random.below(4),
      })),
    }));
    if (groups.every(({ members }) => members.every(({ weight }) => weight === 0))) continue;
    const quorum = new HierarchicalQuorum(groups);
    assertAnyTwoMeet(quorum);
    const found = new Set(quorumsOf(quorum).map((set) => [...set].join()));
    for (let bits = 0; bits < 1 << quorum.voters.length; bits++) {
      const set = quorum.voters.filter((_, n) => (bits >> n) & 1);
      const sum = (members: readonly { sid: number; weight: number }[], of: readonly number[]) =>
        members.reduce((total, { sid, weight }) => total + (of.includes(sid) ? weight : 0), 0);
      const heavy = groups.filter(({ members }) => sum(members, quorum.voters) > 0);
      const won = heavy.filter(({ members }) => 2 * sum(members, set) > sum(members, quorum.voters));
      assert.equal(found.has(set.join()), 2 * won.length > heavy.length);
    }
  }
});
