/** How a leader learns that it still leads before it answers a sync. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MajorityQuorum } from "../../../src/core/base/quorum.ts";
import { LearnerLink } from "../../../src/core/zab/learner_link.ts";
import { Link } from "../../../src/core/zab/link.ts";
import { ReadRounds } from "../../../src/core/zab/read_rounds.ts";
import { Random } from "../../support/random.ts";

/** Server 5 of five, with followers 1 to 4; `answer` is a PING reply. */
function stage(sids: readonly number[] = [1, 2, 3, 4]) {
  const followers = sids.map((sid) => {
    const learner = new LearnerLink(new Link(sid, `10.0.0.${sid}:1`), 0);
    learner.sid = sid;
    learner.voting = true;
    learner.phase = "active";
    return learner;
  });
  let pings = 0;
  const rounds = new ReadRounds(new MajorityQuorum([1, 2, 3, 4, 5]), 5, () => {
    pings++;
    for (const follower of followers) follower.pingsSent++;
    return followers;
  });
  const told: string[] = [];
  let committed = 0;
  return {
    followers,
    told,
    rounds,
    get pings() {
      return pings;
    },
    ask(name: string, zxid = 0) {
      rounds.add({ zxid, release: () => told.push(name) }, committed);
    },
    answer(...who: readonly number[]) {
      for (const sid of who) {
        const follower = followers.find((one) => one.sid === sid);
        if (follower !== undefined && follower.pingsAnswered < follower.pingsSent) follower.pingsAnswered++;
      }
      rounds.advance(committed);
    },
    commit(zxid: number) {
      committed = zxid;
      rounds.advance(committed);
    },
  };
}

test("a sync waits for answers of a quorum to pings that were sent after it came", () => {
  const s = stage();
  for (const follower of s.followers) follower.pingsSent = 2;
  s.answer(1, 2, 3, 4);
  s.ask("a");
  assert.equal(s.pings, 1);
  // The second answer is to a ping of before.
  s.answer(1, 2, 3, 4);
  assert.deepEqual(s.told, []);
  s.answer(1);
  assert.deepEqual(s.told, []);
  s.answer(2);
  assert.deepEqual(s.told, ["a"]);
  assert.equal(s.rounds.size, 0);
});

test("syncs that come during a round share the next one", () => {
  const s = stage();
  s.ask("a");
  s.ask("b");
  s.ask("c");
  assert.equal(s.pings, 1);
  s.answer(1, 2);
  assert.deepEqual([s.told, s.pings], [["a"], 2]);
  s.answer(3, 4);
  assert.deepEqual(s.told, ["a"], "3 and 4 answer the first round");
  s.answer(1, 3);
  assert.deepEqual(s.told, ["a", "b", "c"]);
});

test("a sync is answered behind the commit of what was proposed before it", () => {
  const s = stage();
  s.ask("a", 7);
  s.answer(1, 2);
  s.commit(6);
  assert.deepEqual([s.told, s.rounds.size], [[], 1]);
  s.commit(7);
  assert.deepEqual(s.told, ["a"]);
});

test("alone in the ensemble a leader is its own quorum", () => {
  const told: string[] = [];
  const rounds = new ReadRounds(new MajorityQuorum([5]), 5, () => []);
  rounds.add({ zxid: 0, release: () => told.push("a") }, 0);
  assert.deepEqual([told, rounds.size], [["a"], 0]);
});

test("observers and strangers are no part of the quorum", () => {
  const s = stage();
  for (const follower of s.followers.slice(0, 3)) follower.voting = false;
  s.ask("a");
  s.answer(1, 2, 3, 4);
  assert.deepEqual(s.told, []);
});

test("a follower that comes again answers for pings of its own link alone", () => {
  const s = stage([1]);
  s.ask("a");
  const again = new LearnerLink(new Link(9, "10.0.0.1:2"), 0);
  again.sid = 1;
  again.voting = true;
  again.phase = "active";
  again.pingsSent = again.pingsAnswered = 5;
  s.followers.splice(0, 1, again);
  s.rounds.advance(0);
  assert.deepEqual(s.told, []);
});

test("whatever comes in whatever order, syncs are released in the order they came", () => {
  const random = new Random(5);
  for (let i = 0; i < 300; i++) {
    const s = stage();
    let next = 0;
    let proposed = 0;
    for (let k = 0; k < 60; k++) {
      const dice = random.below(10);
      if (dice < 3) s.ask(String(next++), proposed);
      else if (dice < 5) proposed++;
      else if (dice < 7) s.commit(Math.min(proposed, s.told.length + random.below(proposed + 1)));
      else s.answer(1 + random.below(4));
    }
    s.commit(proposed);
    for (let k = 0; k < 200; k++) s.answer(1 + (k % 4));
    assert.deepEqual(s.told, Array.from({ length: next }, (_, k) => String(k)), `seed 5, run ${i}`);
  }
});
