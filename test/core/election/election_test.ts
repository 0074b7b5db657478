/** One member of an election: what it says to what it hears, and when it decides. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bytesOf, textOf } from "../../../src/core/base/bytes.ts";
import { HierarchicalQuorum, MajorityQuorum, type Quorum } from "../../../src/core/base/quorum.ts";
import { Election } from "../../../src/core/election/election.ts";
import type { Vote } from "../../../src/core/election/vote.ts";
import {
  encodeNotification,
  nobody,
  parseNotification,
  roundMax,
  VoterState,
} from "../../../src/core/wire/votes.ts";
import { Writer } from "../../../src/core/wire/writer.ts";
import { Random } from "../../support/random.ts";

const { Looking, Following, Leading, Observing } = VoterState;
const config = "server.1=a:1:2:participant\nversion=0";

interface Said {
  readonly to: number;
  readonly state: VoterState;
  readonly vote: Vote;
}

class Member {
  readonly election: Election;
  #said: Said[] = [];

  constructor(sid: number, quorum: Quorum, settleMs = 200) {
    this.election = new Election(
      {
        sid,
        observer: !quorum.isVoter(sid),
        quorum,
        configText: config,
        configVersion: 0,
        settleMs,
        notificationMsMin: 200,
        notificationMsMax: 1000,
      },
      (to, bytes) => {
        const told = parseNotification(bytes);
        assert.ok(told !== null && told.version === 2);
        assert.equal(textOf(told.config ?? bytesOf("")), config);
        const { leader, zxid, round, epoch, state } = told;
        this.#said.push({ to, state, vote: { leader, zxid, round, epoch } });
      },
    );
  }

  hear(from: number, state: VoterState, vote: Vote, atMs: number, text = config): void {
    this.election.heard(from, encodeNotification(state, vote, bytesOf(text)), atMs);
  }

  /** What was said since the last time, in short. */
  said(): string[] {
    const said = this.#said;
    this.#said = [];
    const names = ["looking", "following", "leading", "observing"];
    return said.map(({ to, state, vote }) => `${to} ${names[state]} ${show(vote)}`);
  }

  decided(): string | null {
    const decision = this.election.takeDecision();
    return decision === null ? null : `${decision.leader} ${show(decision.vote)}`;
  }
}

function show({ leader, zxid, round, epoch }: Vote): string {
  return [leader, zxid, round, epoch].map((value) => value === nobody ? "nobody" : value).join(",");
}

function vote(leader: number, zxid: number, round: number, epoch: number): Vote {
  return { leader, zxid, round, epoch };
}

const three = new MajorityQuorum([1, 2, 3]);
const five = new MajorityQuorum([1, 2, 3, 4, 5]);

function upAll(member: Member, ...sids: number[]): void {
  for (const sid of sids) member.election.up(sid, 0);
}

describe("a round", () => {
  it("begins with a vote for oneself, told to all voters and not to oneself", () => {
    const member = new Member(2, three);
    member.election.look(7, 1, 0);
    assert.deepEqual(member.said(), ["1 looking 2,7,1,1", "3 looking 2,7,1,1"]);
    assert.equal(member.election.state, "looking");
    assert.equal(member.election.round, 1);
    assert.equal(member.election.settling, false);
    assert.equal(member.decided(), null);
  });

  it("alone is over before it began", () => {
    const member = new Member(1, new MajorityQuorum([1]));
    member.election.look(7, 1, 0);
    assert.equal(member.decided(), "1 1,7,1,1");
    assert.equal(member.decided(), null);
    assert.equal(member.election.state, "leading");
    assert.equal(member.election.nextAtMs, Infinity);
  });

  it("adopts a better vote and tells all, and keeps its own before a worse one without a word", () => {
    const member = new Member(2, five);
    member.election.look(7, 1, 0);
    member.said();
    member.hear(1, Looking, vote(1, 6, 1, 1), 1);
    assert.deepEqual(member.said(), []);
    member.hear(4, Looking, vote(4, 7, 1, 1), 2);
    assert.deepEqual(member.said(), [1, 3, 4, 5].map((to) => `${to} looking 4,7,1,1`));
    member.hear(4, Looking, vote(4, 7, 1, 1), 3);
    assert.deepEqual(member.said(), []);
  });

  it("of an earlier number is answered and not counted", () => {
    const member = new Member(2, three);
    member.election.look(7, 1, 0);
    member.election.look(7, 1, 0);
    member.said();
    member.hear(3, Looking, vote(3, 9, 1, 1), 1);
    assert.deepEqual(member.said(), ["3 looking 2,7,2,1"]);
    assert.equal(member.election.settling, false);
  });

  it("of a later number is joined, with whichever is better of the vote heard and the own one", () => {
    const worse = new Member(2, five);
    worse.election.look(7, 1, 0);
    worse.hear(4, Looking, vote(4, 9, 1, 1), 1);
    worse.said();
    worse.hear(1, Looking, vote(1, 3, 5, 1), 2);
    assert.deepEqual(worse.said()[0], "1 looking 2,7,5,1");
    const better = new Member(2, five);
    better.election.look(7, 1, 0);
    better.said();
    better.hear(1, Looking, vote(3, 8, 5, 1), 2);
    assert.deepEqual(better.said()[0], "1 looking 3,8,5,1");
    assert.equal(better.election.round, 5);
  });

  it("told again after silences that double up to their maximum, and no silence ends a round", () => {
    const member = new Member(2, three);
    member.election.look(7, 1, 0);
    const times: number[] = [];
    for (let now = 0; now <= 5000; now += 10) {
      member.said();
      member.election.tick(now);
      if (member.said().length === 2) times.push(now);
    }
    assert.deepEqual(times, [200, 600, 1400, 2400, 3400, 4400]);
  });

  it("is told again although somebody talks without end", () => {
    const member = new Member(2, three);
    member.election.look(7, 1, 0);
    member.said();
    let told = 0;
    for (let now = 0; now <= 5000; now += 10) {
      member.hear(1, Looking, vote(1, 0, 1, 0), now);
      member.election.tick(now);
      told += member.said().length / 2;
    }
    assert.ok(told >= 4 && told <= 5, `told ${told} times`);
  });
});

describe("a decision", () => {
  it("is made at once when all who are there and the quorum say the same", () => {
    const member = new Member(1, three);
    upAll(member, 2, 3);
    member.election.look(7, 1, 0);
    member.hear(2, Looking, vote(3, 7, 1, 1), 1);
    assert.equal(member.decided(), null);
    assert.equal(member.election.settling, true);
    member.hear(3, Looking, vote(3, 7, 1, 1), 2);
    assert.equal(member.decided(), "3 3,7,1,1");
    assert.equal(member.election.state, "following");
  });

  it("waits for a voter that is there and has not spoken, and says nothing meanwhile", () => {
    const member = new Member(3, three);
    upAll(member, 1, 2);
    member.election.look(7, 1, 0);
    member.said();
    member.hear(2, Looking, vote(3, 7, 1, 1), 10);
    assert.equal(member.election.nextAtMs, 210);
    member.election.tick(209);
    assert.equal(member.decided(), null);
    member.election.tick(210);
    assert.equal(member.decided(), "3 3,7,1,1");
    assert.equal(member.election.state, "leading");
    assert.deepEqual(member.said(), []);
  });

  it("does not wait for a voter that was there and is gone, but for one that never was", () => {
    const gone = new Member(2, three);
    upAll(gone, 1, 3);
    gone.election.down(3, 0);
    gone.election.look(7, 1, 0);
    gone.hear(1, Looking, vote(2, 7, 1, 1), 1);
    assert.equal(gone.decided(), "2 2,7,1,1");
    const never = new Member(2, three);
    upAll(never, 1);
    never.election.look(7, 1, 0);
    never.hear(1, Looking, vote(2, 7, 1, 1), 1);
    assert.equal(never.decided(), null);
    never.election.tick(201);
    assert.equal(never.decided(), "2 2,7,1,1");
  });

  it("waits no longer once the last voter that kept it waiting is gone", () => {
    const member = new Member(2, three);
    upAll(member, 1, 3);
    member.election.look(7, 1, 0);
    member.hear(1, Looking, vote(2, 7, 1, 1), 1);
    assert.equal(member.decided(), null);
    member.election.down(3, 5);
    assert.equal(member.decided(), "2 2,7,1,1");
  });

  it("waits when the leader is not there, or the quorum only with one that left", () => {
    const leaderGone = new Member(1, three);
    upAll(leaderGone, 2, 3);
    leaderGone.election.look(7, 1, 0);
    leaderGone.hear(3, Looking, vote(3, 7, 1, 1), 1);
    leaderGone.election.down(3, 2);
    leaderGone.hear(2, Looking, vote(3, 7, 1, 1), 3);
    assert.equal(leaderGone.decided(), null);
    leaderGone.election.tick(201);
    assert.equal(leaderGone.decided(), "3 3,7,1,1");
    const few = new Member(5, five);
    upAll(few, 1, 2, 3, 4);
    few.election.look(7, 1, 0);
    few.hear(1, Looking, vote(5, 7, 1, 1), 1);
    for (const sid of [1, 3, 4]) few.election.down(sid, 2);
    few.hear(2, Looking, vote(5, 7, 1, 1), 3);
    assert.equal(few.election.settling, true);
    assert.equal(few.decided(), null);
  });

  it("is put off by a better vote, not by others", () => {
    const member = new Member(4, five);
    upAll(member, 1, 2, 3, 5);
    member.election.look(7, 1, 0);
    for (const from of [1, 2]) member.hear(from, Looking, vote(4, 7, 1, 1), from);
    assert.equal(member.election.nextAtMs, 202);
    member.hear(3, Looking, vote(3, 7, 1, 1), 100);
    assert.equal(member.election.nextAtMs, 202);
    member.said();
    member.hear(5, Looking, vote(5, 7, 1, 1), 150);
    assert.equal(member.election.settling, false);
    assert.equal(member.said().length, 4);
    member.election.tick(202);
    assert.equal(member.decided(), null);
    for (const from of [1, 2, 3]) member.hear(from, Looking, vote(5, 7, 1, 1), 160 + from);
    assert.equal(member.decided(), "5 5,7,1,1");
  });

  it("needs a quorum of voters: neither strangers nor one voter twice make one", () => {
    const member = new Member(2, five);
    upAll(member, 1, 3, 4, 5);
    member.election.look(7, 1, 0);
    for (const from of [1, 1, 1, 77, 78, -1]) member.hear(from, Looking, vote(2, 7, 1, 1), 1);
    assert.equal(member.election.settling, false);
  });

  it("counts votes of the same round and all the same fields only", () => {
    const member = new Member(3, three);
    member.election.look(7, 1, 0);
    for (const [zxid, epoch] of [[6, 1], [7, 0]] as const) {
      member.hear(2, Looking, vote(3, zxid, 1, epoch), 1);
      assert.equal(member.election.settling, false);
    }
    member.hear(2, Looking, vote(3, 7, 1, 1), 1);
    assert.equal(member.election.settling, true);
  });

  it("of groups follows their weights, and who has none is not elected", () => {
    const group = (...sids: number[]) => ({
      members: sids.map((sid) => ({ sid, weight: sid === 9 ? 0 : 1 })),
    });
    const quorum = new HierarchicalQuorum([group(1, 2, 3), group(4, 5, 6), group(7, 8, 9)]);
    const member = new Member(1, quorum);
    member.election.look(7, 1, 0);
    member.hear(9, Looking, vote(9, 99, 1, 9), 1);
    for (const from of [2, 3, 9]) member.hear(from, Looking, vote(1, 7, 1, 1), 1);
    assert.equal(member.election.settling, false);
    for (const from of [4, 5]) member.hear(from, Looking, vote(1, 7, 1, 1), 1);
    assert.equal(member.election.settling, true);
  });

  it("is not made with an empty database that nobody trusts", () => {
    const empty = new Member(3, three);
    empty.election.look(-1, 0, 0);
    empty.hear(2, Looking, vote(3, -1, 1, 0), 1);
    empty.hear(1, Looking, vote(3, 0, 1, 0), 1);
    assert.equal(empty.election.settling, false);
    const whole = new Member(1, three);
    whole.election.look(0, 0, 0);
    whole.said();
    whole.hear(3, Looking, vote(3, -1, 4, 0), 1);
    assert.equal(whole.election.round, 1);
    assert.deepEqual(whole.said(), []);
  });
});

describe("an established ensemble", () => {
  it("is joined when a quorum follows a leader that says so itself", () => {
    const member = new Member(4, five);
    member.election.look(7, 1, 0);
    member.hear(1, Following, vote(3, 0x55, 9, 6), 1);
    member.hear(2, Following, vote(3, 0x44, 8, 6), 1);
    member.hear(5, Following, vote(3, 0x44, 8, 6), 1);
    assert.equal(member.decided(), null);
    member.hear(3, Leading, vote(3, 0x44, 9, 6), 1);
    assert.equal(member.decided(), "3 3,68,9,6");
    assert.equal(member.election.round, 9);
    assert.equal(member.election.state, "following");
  });

  it("is not joined on the word of its followers alone, nor of those of an earlier look or round", () => {
    const alone = new Member(1, five);
    alone.election.look(7, 1, 0);
    for (const from of [2, 3, 4]) alone.hear(from, Following, vote(5, 7, 1, 2), 1);
    assert.equal(alone.decided(), null);
    const earlierLook = new Member(1, three);
    earlierLook.election.look(7, 1, 0);
    earlierLook.hear(3, Leading, vote(3, 7, 9, 2), 1);
    earlierLook.election.look(7, 1, 2);
    earlierLook.hear(2, Following, vote(3, 7, 9, 2), 3);
    assert.equal(earlierLook.decided(), null);
    const earlierRound = new Member(1, three);
    earlierRound.election.look(7, 1, 0);
    earlierRound.hear(2, Following, vote(3, 7, 1, 2), 1);
    earlierRound.hear(3, Looking, vote(3, 7, 8, 2), 3);
    earlierRound.hear(3, Leading, vote(3, 7, 8, 3), 4);
    assert.equal(earlierRound.decided(), null);
  });

  it("is not joined while its members tell different epochs, unless it is our round", () => {
    const other = new Member(1, three);
    other.election.look(7, 1, 0);
    other.hear(2, Following, vote(3, 7, 4, 1), 1);
    other.hear(3, Leading, vote(3, 7, 4, 2), 1);
    assert.equal(other.decided(), null);
    const same = new Member(1, three);
    same.election.look(7, 1, 0);
    same.hear(2, Following, vote(3, 7, 1, 1), 1);
    same.hear(3, Leading, vote(3, 7, 1, 2), 1);
    assert.equal(same.decided(), "3 3,7,1,2");
  });

  it("does not make one its leader who has no memory of it", () => {
    const member = new Member(3, three);
    member.election.look(7, 1, 0);
    for (const from of [1, 2]) member.hear(from, Following, vote(3, 7, 4, 1), 1);
    assert.equal(member.decided(), null);
    for (const from of [1, 2]) member.hear(from, Following, vote(3, 7, 1, 1), 1);
    assert.equal(member.decided(), "3 3,7,1,1");
    assert.equal(member.election.state, "leading");
  });

  it("may have the round that a reconfiguration leaves behind", () => {
    const member = new Member(1, three);
    member.election.look(7, 1, 0);
    member.hear(2, Following, vote(3, 7, -1, 1), 1);
    member.hear(3, Leading, vote(3, 7, -1, 1), 1);
    assert.equal(member.decided(), "3 3,7,-1,1");
    assert.equal(member.election.round, 0);
  });

  it("is no business of observers", () => {
    const member = new Member(1, three);
    member.election.look(7, 1, 0);
    member.said();
    member.hear(3, Observing, vote(2, 7, 1, 1), 1);
    member.hear(2, Observing, vote(2, 7, 1, 1), 1);
    assert.equal(member.decided(), null);
    assert.deepEqual(member.said(), []);
  });
});

describe("a member with a leader", () => {
  function following(): Member {
    const member = new Member(1, three);
    upAll(member, 2, 3);
    member.election.look(7, 1, 0);
    for (const from of [2, 3]) member.hear(from, Looking, vote(3, 7, 1, 1), 1);
    assert.equal(member.decided(), "3 3,7,1,1");
    member.said();
    return member;
  }

  it("answers who looks, with the epoch once that has begun, and nobody else", () => {
    const member = following();
    member.hear(2, Looking, vote(2, 9, 4, 1), 2);
    assert.deepEqual(member.said(), ["2 following 3,7,1,1"]);
    member.election.followed(2);
    member.hear(2, Looking, vote(2, 9, 4, 1), 2);
    assert.deepEqual(member.said(), ["2 following 3,7,1,2"]);
    for (const state of [Following, Leading, Observing]) member.hear(2, state, vote(2, 9, 4, 1), 2);
    assert.deepEqual(member.said(), []);
    assert.equal(member.election.round, 1);
    member.election.tick(1e9);
    assert.deepEqual(member.said(), []);
  });

  it("is deserted when its leader looks for another, until the epoch begins", () => {
    const member = following();
    member.hear(2, Looking, vote(2, 9, 4, 1), 2);
    member.hear(3, Looking, vote(3, 7, 1, 1), 2);
    assert.equal(member.election.deserted, false);
    member.hear(3, Looking, vote(2, 9, 1, 1), 2);
    assert.equal(member.election.deserted, true);
    member.election.followed(2);
    assert.equal(member.election.deserted, false);
    member.hear(3, Looking, vote(3, 7, 2, 1), 2);
    assert.equal(member.election.deserted, false);
  });

  it("that leads is deserted when too few are left", () => {
    const member = new Member(3, three);
    upAll(member, 1, 2);
    member.election.look(7, 1, 0);
    for (const from of [1, 2]) member.hear(from, Looking, vote(3, 7, 1, 1), 1);
    assert.equal(member.decided(), "3 3,7,1,1");
    member.hear(1, Looking, vote(2, 9, 1, 1), 2);
    assert.equal(member.election.deserted, false);
    member.hear(2, Looking, vote(2, 9, 1, 1), 2);
    assert.equal(member.election.deserted, true);
  });

  it("and lost it tells nobody of it any more, and says nothing until it looks", () => {
    const member = following();
    member.election.leave();
    assert.equal(member.election.state, "looking");
    member.hear(2, Looking, vote(2, 9, 2, 1), 2);
    assert.deepEqual(member.said(), []);
    member.hear(77, Looking, vote(nobody, nobody, 2, nobody), 2);
    assert.deepEqual(member.said(), ["77 looking 3,7,1,1"]);
    assert.equal(member.election.nextAtMs, Infinity);
  });

  it("keeps what others say who lost it first", () => {
    const member = following();
    member.election.down(3, 100);
    member.hear(2, Looking, vote(2, 9, 2, 1), 101);
    member.said();
    member.election.look(7, 1, 105);
    assert.deepEqual(member.said().at(-1), "3 looking 2,9,2,1");
    assert.equal(member.decided(), "2 2,9,2,1");
  });

  it("forgets what was said long ago, or by one that is gone, or has a leader by now", () => {
    for (
      const then of [
        (_: Member): number => 1200,
        (member: Member): number => (member.election.down(2, 102), 105),
        (member: Member): number => (member.hear(2, Following, vote(3, 7, 1, 2), 102), 105),
      ]
    ) {
      const member = following();
      member.hear(2, Looking, vote(2, 9, 2, 1), 101);
      member.election.look(7, 1, then(member));
      assert.equal(member.election.round, 2);
      assert.equal(member.said().at(-1), "3 looking 1,7,2,1");
    }
  });
});

describe("who has no vote", () => {
  it("is answered at once when it asks: with the leader, or with the previous one and that we look", () => {
    const member = new Member(1, three);
    upAll(member, 2, 3);
    const ask = vote(nobody, nobody, 1, nobody);
    member.election.look(7, 1, 0);
    member.said();
    member.hear(4, Looking, ask, 1);
    assert.deepEqual(member.said(), ["4 looking 1,7,1,1"]);
    for (const from of [2, 3]) member.hear(from, Looking, vote(3, 7, 1, 1), 1);
    member.said();
    member.hear(4, Looking, ask, 2);
    assert.deepEqual(member.said(), ["4 following 3,7,1,1"]);
    member.hear(4, Observing, vote(3, 7, 1, 1), 3);
    assert.deepEqual(member.said(), []);
    member.election.look(7, 1, 9);
    member.said();
    member.hear(4, Looking, ask, 10);
    assert.deepEqual(member.said(), ["4 looking 3,7,2,1"]);
  });

  it("proposes nobody, tells voters alone, and joins by what the settled say", () => {
    const member = new Member(9, three);
    upAll(member, 1, 2, 3);
    member.election.look(7, 1, 0);
    assert.deepEqual(member.said(), [1, 2, 3].map((to) => `${to} looking nobody,nobody,1,nobody`));
    for (const from of [1, 2, 3]) member.hear(from, Looking, vote(2, 7, 1, 1), 1);
    assert.deepEqual(member.said(), []);
    member.election.tick(201);
    assert.equal(member.decided(), null, "voters that look tell of their previous leader");
    for (const from of [1, 2]) member.hear(from, Following, vote(3, 7, 6, 2), 300);
    member.hear(3, Leading, vote(3, 7, 6, 2), 300);
    assert.equal(member.decided(), "3 3,7,6,2");
    assert.equal(member.election.state, "observing");
    assert.equal(member.election.round, 6);
  });

  it("answers nobody", () => {
    const member = new Member(9, three);
    member.election.look(7, 1, 0);
    member.election.look(7, 1, 0);
    member.said();
    member.hear(1, Looking, vote(1, 7, 1, 1), 1);
    member.hear(8, Looking, vote(1, 7, 1, 1), 1);
    assert.deepEqual(member.said(), []);
  });
});

describe("a hostile voter", () => {
  it("cannot push the round to where numbers are no longer exact, and after the last comes the first", () => {
    const member = new Member(1, three);
    member.election.look(7, 1, 0);
    const writer = new Writer();
    writer.i32(0);
    for (const value of [2n, 9n, 0x7fff_ffff_ffff_ffffn, 1n]) writer.i64(value);
    writer.i32(1);
    member.election.heard(2, writer.copy(), 1);
    assert.equal(member.election.round, 1);
    member.hear(2, Looking, vote(2, 9, roundMax, 1), 1);
    assert.equal(member.election.round, roundMax);
    member.election.look(7, 1, 2);
    assert.equal(member.election.round, 1);
    member.hear(2, Looking, vote(2, 9, roundMax, 1), 1);
    assert.equal(member.election.settling, true, "and those who are there already can still be joined");
  });

  it("cannot make anything throw, grow or repeat itself", () => {
    const random = new Random(31);
    const sids = [1, 2, 3, 4, 77, -1, nobody, 2 ** 53, 0];
    const numbers = [...sids, -1, 5, roundMax, roundMax - 1, 2 ** 32, 2 ** 62, -(2 ** 62)];
    for (const sid of [1, 4]) {
      const member = new Member(sid, three);
      let now = 0;
      for (let i = 0; i < 8000; i++) {
        now += random.below(40);
        const from = random.pick(sids);
        switch (random.below(12)) {
          case 0:
            member.election.up(from, now);
            break;
          case 1:
            member.election.down(from, now);
            break;
          case 2:
            if (member.election.state !== "looking" || random.percent(20)) {
              member.election.look(random.below(9), random.below(3), now);
            }
            break;
          case 3:
            member.election.leave();
            break;
          case 4:
            member.election.followed(random.below(9));
            break;
          case 5:
            member.election.heard(from, random.bytes(random.below(60)), now);
            break;
          default: {
            const [a, b, c, d] = [0, 0, 0, 0].map(() => random.pick(numbers)) as [
              number,
              number,
              number,
              number,
            ];
            const text = random.percent(20) ? `version=${random.below(1 << 20).toString(16)}` : config;
            member.said();
            member.hear(from, random.pick([0, 0, 0, 1, 2, 3]), vote(a, b, c, d), now, text);
            // An answer, and a proposal to each voter.
            assert.ok(member.said().length <= 4);
          }
        }
        member.election.tick(now);
        member.election.takeDecision();
        assert.ok(Number.isSafeInteger(member.election.round) && member.election.round >= 0);
        assert.ok(member.election.nextAtMs === Infinity || member.election.nextAtMs <= now + 1000);
      }
    }
  });

  it("cannot speak in our name", () => {
    const member = new Member(3, five);
    member.election.look(7, 1, 0);
    member.said();
    member.hear(3, Looking, vote(5, 9, 9, 9), 1);
    assert.deepEqual(member.said(), []);
    assert.equal(member.election.round, 1);
  });
});

it("a configuration of a higher version is noted, and the vote that brought it counts", () => {
  const member = new Member(1, three);
  upAll(member, 2, 3);
  member.election.look(7, 1, 0);
  member.hear(2, Looking, vote(3, 7, 1, 1), 1, "server.9=x\nversion=a0");
  assert.deepEqual(member.election.configSeen, { from: 2, version: 0xa0, text: "server.9=x\nversion=a0" });
  assert.equal(member.election.settling, true);
  member.hear(3, Looking, vote(3, 7, 1, 1), 1, "server.8=x\nversion=9");
  assert.equal(member.election.configSeen?.version, 0xa0);
  assert.equal(member.decided(), "3 3,7,1,1");
});
