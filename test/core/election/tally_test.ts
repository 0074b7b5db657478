/** Votes as an order, and the tally against counting every set of voters by hand. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HierarchicalQuorum, MajorityQuorum, type Quorum } from "../../../src/core/base/quorum.ts";
import { Tally } from "../../../src/core/election/tally.ts";
import { agrees, beats, type CastVote, type Vote } from "../../../src/core/election/vote.ts";
import { nobody, VoterState } from "../../../src/core/wire/votes.ts";
import { Random } from "../../support/random.ts";

const five = new MajorityQuorum([1, 2, 3, 4, 5]);
const { Looking, Following, Leading } = VoterState;

function randomVote(random: Random, sids: readonly number[]): Vote {
  const small = () => random.pick([nobody, -1, 0, 1, 2 ** 32, 2 ** 33 + 1]);
  return { leader: random.pick(sids), zxid: small(), round: random.below(2), epoch: small() };
}

test("the later epoch wins, then the higher zxid, then the higher sid", () => {
  const vote = { leader: 3, zxid: 7, round: 1, epoch: 2 };
  for (const better of [{ epoch: 3, zxid: 0, leader: 1 }, { zxid: 8, leader: 1 }, { leader: 4 }]) {
    assert.ok(beats({ ...vote, ...better }, vote, five));
    assert.ok(!beats(vote, { ...vote, ...better }, five));
  }
  assert.ok(!beats(vote, vote, five));
  assert.ok(!beats({ ...vote, round: 9 }, vote, five));
});

test("votes are totally ordered", () => {
  const random = new Random(21);
  for (let i = 0; i < 3000; i++) {
    const [a, b, c] = [1, 2, 3].map(() => randomVote(random, five.voters)) as [Vote, Vote, Vote];
    const same = a.leader === b.leader && a.zxid === b.zxid && a.epoch === b.epoch;
    assert.equal(Number(beats(a, b, five)) + Number(beats(b, a, five)), same ? 0 : 1);
    if (beats(a, b, five) && beats(b, c, five)) assert.ok(beats(a, c, five));
  }
});

test("a voter without weight is better than nobody", () => {
  const quorum = new HierarchicalQuorum([{ members: [{ sid: 1, weight: 1 }, { sid: 9, weight: 0 }] }]);
  const one = { leader: 1, zxid: 0, round: 1, epoch: 0 };
  const nine = { leader: 9, zxid: 99, round: 1, epoch: 99 };
  assert.ok(!beats(nine, one, quorum));
  assert.ok(!beats({ ...nine, leader: 77 }, one, five));
  assert.ok(!beats(one, nine, quorum), "and yet what it has seen counts");
});

test("while anyone looks votes agree in every field, later in leader and epoch", () => {
  const vote = { leader: 3, zxid: 7, round: 1, epoch: 2 };
  const cast = (state: VoterState, change: Partial<Vote> = {}, version = 2): CastVote => ({
    vote: { ...vote, ...change },
    state,
    version,
  });
  for (const change of [{ zxid: 8 }, { round: 2 }, { epoch: 3 }, { leader: 2 }]) {
    assert.ok(!agrees(cast(Looking), cast(Following, change)));
    assert.ok(!agrees(cast(Leading, change), cast(Looking)));
  }
  assert.ok(agrees(cast(Looking), cast(Following, {}, 0)));
  assert.ok(agrees(cast(Leading), cast(Following, { zxid: 8, round: 2 })));
  assert.ok(!agrees(cast(Leading), cast(Following, { epoch: 3 })));
  assert.ok(agrees(cast(Leading), cast(Following, { epoch: 3 }, 0)));
  assert.ok(!agrees(cast(Leading), cast(Following, { epoch: 3, leader: 2 }, 0)));
  assert.ok(!agrees(cast(Leading, {}, 0), cast(Following, { epoch: 3 }, 0)));
});

/** Is any set of voters that all say the same a quorum? Every set is tried. */
function dumbQuorum(quorum: Quorum, votes: ReadonlyMap<number, CastVote>, cast: CastVote): boolean {
  for (let bits = 0; bits < 1 << quorum.voters.length; bits++) {
    const set = quorum.voters.filter((_, i) => (bits >> i) & 1);
    const alike = set.every((sid) => {
      const theirs = votes.get(sid);
      return theirs !== undefined && agrees(theirs, cast) && agrees(cast, theirs);
    });
    if (alike && quorum.isQuorum((sid) => set.includes(sid))) return true;
  }
  return false;
}

test("a tally finds a quorum exactly where some set of voters is one", () => {
  const random = new Random(22);
  const group = (...members: (readonly [number, number])[]) => ({
    members: members.map(([sid, weight]) => ({ sid, weight })),
  });
  const quorums = [
    five,
    new MajorityQuorum([1, 2]),
    new HierarchicalQuorum([group([1, 1], [2, 2], [3, 0]), group([4, 1], [5, 1])]),
  ];
  let found = 0;
  for (let i = 0; i < 3000; i++) {
    const quorum = random.pick(quorums);
    const tally = new Tally();
    const model = new Map<number, CastVote>();
    const cast = (): CastVote => ({
      vote: { leader: 1 + random.below(2), zxid: random.below(2), round: 1, epoch: 1 },
      state: random.pick([Looking, Following, Leading]),
      version: random.pick([0, 2, 2]),
    });
    for (let j = random.below(12); j > 0; j--) {
      // A stranger in the tally is not counted, a voter only once.
      const sid = 1 + random.below(7);
      const vote = cast();
      tally.set(sid, vote);
      model.set(sid, vote);
    }
    const asked = cast();
    assert.equal(tally.hasQuorum(quorum, asked), dumbQuorum(quorum, model, asked));
    if (tally.hasQuorum(quorum, asked)) found++;
    for (let sid = 1; sid < 8; sid++) assert.equal(tally.isLeading(sid), model.get(sid)?.state === Leading);
    tally.clear();
    assert.ok(!tally.hasQuorum(quorum, asked));
  }
  assert.ok(found > 100, `only ${found} quorums`);
});
